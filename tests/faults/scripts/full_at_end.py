"""A script whose disk is filled by somebody else when all but its end is written.

    full_at_end.py FOLDER LEFT

LEFT tells what is still to be stored then: `results`, or `nothing` but the end of the run's record. Lines: `files …` in
the run's folder, and the run as `parslish runs --json` has it.
"""

import os
import sys

import parslish
from parslish import Config, python_app
from parslish.cli import main as command

BLOCK = bytes(4096)


@python_app(cache=True)
def cell(number: int) -> tuple[int, str]:
    return number, "x" * 100_000


def see(numbers: range) -> None:
    assert all(cell(number).result()[0] == number for number in numbers)


def fill() -> None:
    with open("filler", "wb", buffering=0) as file:
        try:
            while file.write(BLOCK):
                pass
        except OSError:
            return


def main(folder: str, left: str) -> None:
    os.chdir(folder)
    kernel = parslish.load(Config(run_dir="runinfo", checkpoint_mode="manual" if left == "nothing" else "dfk_exit"))
    see(range(10))
    kernel.checkpoint()
    see(range(10, 15))
    fill()
    kernel.cleanup()
    print("files", *sorted(os.listdir("runinfo/000")))
    command(["runs", "--json"])


if __name__ == "__main__":
    main(*sys.argv[1:])
