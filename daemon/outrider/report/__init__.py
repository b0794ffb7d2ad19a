"""What the reports of several stages share: pictures as inline SVG, one style sheet, pages that need nothing else.

Rule: knows nothing of drives, rows or verdicts. jinja2 and matplotlib come with ``pip install outrider[workstation]``.
"""
