"""`znatok doctor`: what this machine can do, what is installed, and the commands that add what is missing."""

from znatok.commands.options import Options


def doctor(*, options: Options = Options()) -> int:
    """Looks at this machine and at what is installed; no network is touched."""
    from znatok.use.doctor_screen import diagnose, show_diagnosis
    from znatok.use.terminal import json_line, talk

    found = diagnose()
    show_diagnosis(talk(to_stderr=options.json), found)
    if options.json:
        print(json_line(found.describe()))
    return 1 if found.torch.problem else 0
