"""Identity on the wire: the device's key and certificate, enrolment with a claim token, renewal, authority, roots.

Terminal: ``identity_io`` (what is on disk), ``client_io`` (EST over TLS), ``enrol_io`` (the steps, resumable),
``renewal`` (when). Operator: ``authority`` and ``authority_io`` (roots, certificates, revocation), ``registry_io``
(tokens, what was issued, audit), ``desk_io`` and ``server_io`` (the enrolment server).
"""
