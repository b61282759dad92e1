"""Zero-point energies of the G2 set: 162 small molecules and atoms, 5,647 tasks of real quantum chemistry.

    pip install '.[examples]'
    python examples/g2_zpe.py                        # all species; half a minute on two cores
    python examples/g2_zpe.py --species H2O CH4 O2   # some, by name
    python examples/g2_zpe.py --species 20           # the first 20

For each species: relax the geometry with GFN2-xTB, displace each coordinate both ways, take the forces there,
assemble the Hessian by central differences, and sum up the frequencies of the harmonic vibrations. The end is
a table beside the zero-point energies (ZPE) that `ase.data.g2` gives for the 148 molecules.

    relax ──► displace (join) ──► displaced_forces × 6N ──► assemble ──► frequencies ──► summarise
      └──────────────────────────────────────────────────────────────────────┘

Each result is on disk before it is used. Kill the program and start it again: it goes on where it was. Change
a helper function and start it again: only what uses the helper is computed, and what comes after that only if
a value did change. The last line says how many tasks were computed and how many were reused.

Units: Å, eV, amu; wavenumbers in 1/cm, zero-point energies in kcal/mol.
"""

import os

# Workers inherit this. With one thread a sum has one order, so that a task gives the same bits each time; and
# two workers do not fight for two cores.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import difflib
import sys
import time
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.data import g2
from ase.optimize import BFGS
from numpy.typing import NDArray
from tblite.ase import TBLite

import parslish
from parslish import Config, ProcessPoolExecutor, States, ThreadPoolExecutor, join_app, python_app

Array = NDArray[np.float64]
Row = tuple[str, float, float | None, int]

SPECIES = [*g2.molecule_names, *g2.atom_names]
SCF_ACCURACY = 0.01  # of tblite's default threshold: noise of the forces stays below 1e-6 eV/Å
LARGEST_FORCE = 1e-3  # eV/Å, in a relaxed geometry
STEP = 0.005  # Å, of the central differences
KCAL_PER_MOL = units.kcal / units.mol  # eV

EXECUTORS = {
    "processes": lambda workers: ProcessPoolExecutor(max_workers=workers),
    "threads": lambda workers: ThreadPoolExecutor(max_threads=workers),
}

# --------------------------------------------------------------------------------------------- helpers


def with_xtb(species: str) -> Atoms:
    """The species as ase tabulates it, spin included (magnetic moments), with a fresh GFN2-xTB calculator."""
    atoms = molecule(species)
    atoms.calc = TBLite(method="GFN2-xTB", accuracy=SCF_ACCURACY, verbosity=0)
    return atoms


def symmetrised(matrix: Array) -> Array:
    """The symmetric part of a square matrix."""
    return (matrix + matrix.T) / 2


def rigid_motions(masses: Array, positions: Array) -> Array:
    """An orthonormal basis of mass-weighted translations and rotations, one a column.

    There are 6 of them, 5 for a linear molecule, 3 for an atom. `masses` are in amu, `positions` in Å.
    """
    from_centre = positions - np.average(positions, axis=0, weights=masses)
    translations = [np.tile(axis, (len(masses), 1)) for axis in np.eye(3)]
    rotations = [np.cross(axis, from_centre) for axis in np.eye(3)]
    weighted = [(np.sqrt(masses)[:, None] * motion).ravel() for motion in translations + rotations]
    basis, lengths, _ = np.linalg.svd(np.array(weighted).T, full_matrices=False)
    return basis[:, lengths > 1e-3 * lengths[0]]


def wavenumbers(curvatures: Array) -> Array:
    """Wavenumbers in 1/cm of modes with these curvatures, in eV/Å²/amu; negative stands for imaginary."""
    angular = np.sqrt(np.abs(curvatures) * units._e / units._amu) * 1e10  # 1/s
    return np.sign(curvatures) * angular / (2 * np.pi * units._c * 100)


def zero_point_energy(modes: Array) -> float:
    """Half the sum of the real wavenumbers (1/cm) in `modes`, as an energy in kcal/mol."""
    return float(modes[modes > 0].sum() / 2 * units.invcm / KCAL_PER_MOL)


# ------------------------------------------------------------------------------------------------ apps


@python_app(cache=True)
def relax(species: str) -> Array:
    """Positions (Å) at the minimum next to the tabulated geometry."""
    atoms = with_xtb(species)
    if not BFGS(atoms, logfile=None).run(fmax=LARGEST_FORCE, steps=500):
        raise RuntimeError(f"{species} did not relax to {LARGEST_FORCE} eV/Å in 500 steps")
    return atoms.positions


@python_app(cache=True)
def displaced_forces(species: str, positions: Array, coordinate: int, shift: float) -> Array:
    """Forces (eV/Å, flat) where one of the 3N `positions` (Å) is moved by `shift` (Å)."""
    atoms = with_xtb(species)
    moved = positions.copy()
    moved.flat[coordinate] += shift
    atoms.positions = moved
    return atoms.get_forces().ravel()


@join_app
def displace(species: str, positions: Array) -> list[Future]:
    """`displaced_forces` of each coordinate, first backwards, then forwards: 6N tasks."""
    return [
        displaced_forces(species, positions, coordinate, shift)
        for coordinate in range(positions.size)
        for shift in (-STEP, STEP)
    ]


@python_app(cache=True)
def assemble(species: str, forces: list[Array]) -> Array:
    """The mass-weighted Hessian (eV/Å²/amu), by central differences of what `displace` gave."""
    backwards, forwards = np.array(forces[0::2]), np.array(forces[1::2])
    hessian = symmetrised((backwards - forwards) / (2 * STEP))
    masses = np.repeat(molecule(species).get_masses(), 3)
    return hessian / np.sqrt(np.outer(masses, masses))


@python_app(cache=True)
def frequencies(species: str, positions: Array, hessian: Array) -> Array:
    """Wavenumbers (1/cm) of the vibrations, ascending; none for an atom; negative stands for imaginary."""
    rigid = rigid_motions(molecule(species).get_masses(), positions)
    # The full basis, in which the rigid motions come first: the others span the vibrations.
    vibrations = np.linalg.svd(rigid)[0][:, rigid.shape[1] :]
    return wavenumbers(np.linalg.eigvalsh(vibrations.T @ hessian @ vibrations))


@python_app(cache=True)
def summarise(names: list[str], modes: list[Array]) -> tuple[list[Row], float]:
    """Rows of (species, ZPE, tabulated ZPE or None, imaginary modes), and the mean absolute error.

    Energies are in kcal/mol; `modes` holds what `frequencies` gave for each of the `names`.
    """
    rows = [
        (name, zero_point_energy(found), g2.data[name].get("ZPE"), int((found < 0).sum()))
        for name, found in zip(names, modes, strict=True)
    ]
    errors = [abs(computed - tabulated) for _, computed, tabulated, _ in rows if tabulated is not None]
    return rows, float(np.mean(errors)) if errors else 0.0


# --------------------------------------------------------------------------------------------- program


def submit(names: list[str]) -> Future:
    """Start all the work; the future is that of `summarise`."""
    modes = []
    for name in names:
        positions = relax(name)
        hessian = assemble(name, displace(name, positions))
        modes.append(frequencies(name, positions, hessian))
    return summarise(names, modes)


def count_tasks(names: list[str]) -> int:
    """How many tasks `submit` leads to, joins not counted."""
    return 1 + sum(3 + 6 * len(molecule(name)) for name in names)


def finished(kernel: parslish.DataFlowKernel, names: list[str]) -> tuple[int, int]:
    """How many tasks were computed, and how many reused, so far."""
    counts = kernel.task_state_counts
    # Not counted: the join of each species. Its body only submits tasks, and runs in a resumed run as well.
    return max(0, counts[States.exec_done] - len(names)), counts[States.memo_done]


def watch(kernel: parslish.DataFlowKernel, result: Future, names: list[str]) -> None:
    """Say on stderr when another tenth of the tasks is finished, until `result` is there."""
    total, shown = count_tasks(names), 0
    while wait([result], timeout=0.05).not_done:
        done = sum(finished(kernel, names))
        if done * 10 // total > shown:
            shown = done * 10 // total
            print(f"{shown * 10:3d} %: {done} of {total} tasks", file=sys.stderr, flush=True)


def table(rows: list[Row], mean_error: float) -> str:
    """The rows as text, and a line on their mean absolute error."""
    lines = [f"{'species':<22}{'ZPE':>10}{'tabulated':>11}{'error':>9}   (kcal/mol)"]
    for name, computed, tabulated, imaginary in rows:
        reference = "" if tabulated is None else f"{tabulated:11.4f}{computed - tabulated:+9.4f}"
        # Relaxing keeps a molecule's symmetry, so a few stay on a saddle point.
        saddle = f"   {imaginary} imaginary, left out" if imaginary else ""
        lines.append(f"{name:<22}{computed:10.4f}{reference}{saddle}")
    compared = sum(tabulated is not None for _, _, tabulated, _ in rows)
    lines.append(f"mean absolute error over {compared} molecules: {mean_error:.4f} kcal/mol")
    return "\n".join(lines) + "\n"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Zero-point energies of the G2 set with GFN2-xTB.")
    parser.add_argument("--species", nargs="+", metavar="N or NAME", help="the first N, or these; else all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executor", choices=EXECUTORS, default="processes")
    parser.add_argument("--run-dir", default="runinfo", help="where runs and their results are kept")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table to a file as well")
    arguments = parser.parse_args()
    arguments.species = chosen(arguments.species, parser)
    return arguments


def chosen(words: list[str] | None, parser: argparse.ArgumentParser) -> list[str]:
    """The species that the command line means."""
    if words is None:
        return SPECIES
    if len(words) == 1 and words[0].isdigit():
        return SPECIES[: int(words[0])]
    for word in words:
        if word not in SPECIES:
            parser.error(f"{word!r} is not in the G2 set; near: {difflib.get_close_matches(word, SPECIES)}")
    return list(dict.fromkeys(words))


def main() -> None:
    arguments = parse_arguments()
    began = time.perf_counter()
    config = Config(
        executors=[EXECUTORS[arguments.executor](arguments.workers)],
        checkpoint_mode="task_exit",  # results of earlier runs in `run_dir` are found by themselves
        run_dir=arguments.run_dir,
    )
    with parslish.load(config) as kernel:
        result = submit(arguments.species)
        watch(kernel, result, arguments.species)
        text = table(*result.result())
        computed, reused = finished(kernel, arguments.species)
    print(text, end="")
    if arguments.table:
        arguments.table.write_text(text)
    print(f"{computed} tasks computed, {reused} reused; {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
