"""Vehicle profiles: from DBC files and a VSS overlay to the tables the engine decodes with.

A leaf: it knows the ground (``errors``, ``model``) and no stage. Everything here is a pure function of bytes and
texts; only ``load_io`` opens files. This file imports nothing, so that a caller pays for what it uses.

::

    *.dbc   bytes -> dbc_lexer -> dbc_parser -> dbc_loader -> Dbc (dbc_model) + anomalies
    *.yaml  text  -> document  -> overlay    -> Mapping (formula, catalogue)
    both          -> compile                 -> model.vehicle.VehicleTables
    *.profile.toml -> profile_file -> load_io.load_profile -> LoadedProfile, explain -> ProfileReport
"""
