"""What `ringfence check --fix` does before it checks: files mended, and what was done to them."""

import sys
from pathlib import Path

from rules.authoring.fixes import mend
from rules.timing import Timing
from streams.failures import UsageFailure
from streams.files import output
from streams.rule_files import read_texts


def mend_files(path: Path | None, timing: Timing) -> None:
    """Mend what has one right answer in the rule files of a folder, or in one file.

    What was mended is said on stderr, with its place. A file is written aside and renamed; one
    with nothing to mend is not written.

    Raises:
        UsageFailure: Nothing to read there, or only the catalogue as it is installed.
        OutsideFailure: A file cannot be written; those told of before it have been.
    """
    if path is None:
        raise UsageFailure("--fix: say which folder or file is to be mended")
    for file, text in read_texts(path).items():
        mended, fixes = mend(file, text, timing)
        if mended != text:
            # A link stays one, and so do the permissions.
            target = Path(file).resolve()
            mode = target.stat().st_mode
            with output(target) as stream:
                stream.write(mended.encode())
            target.chmod(mode)
        for fix in fixes:
            sys.stderr.write(f"mended {fix}\n")
