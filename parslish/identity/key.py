"""Owns a task's key: what its result is filed under, made of app name, code and bound arguments.

The parts are made elsewhere: the code's by `code`, the binding's by `binding`, the arguments' by `value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from marshal import dumps
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from blake3 import blake3

from parslish.errors import Unidentifiable, UsageError, near
from parslish.identity.atoms import MARSHAL_VERSION, PARALLEL_BYTES, PLAIN, hasher, text
from parslish.identity.binding import Binding, binding
from parslish.identity.code import Fingerprint
from parslish.identity.used import UsedCode
from parslish.identity.value import encode

#: Parameters that speak to parslish: they say where a task runs and writes, not what it computes.
SPEAK_TO_US = frozenset({"outputs", "stdout", "stderr", "walltime", "parsl_resource_specification", "label"})


_PART_BYTES = 8


class ArgumentPart(NamedTuple):
    """What one parameter was bound to; `digest` stands for the value where that is no plain number or text."""

    name: str
    value: Any
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Form:
    """What the keys of an app's calls have in common, for as long as its code is current."""

    binding: Binding
    function: FunctionType
    code: CodeType
    fingerprints: tuple[Fingerprint, ...]
    code_digest: bytes
    of_plain: bytes
    of_any: bytes
    is_current: Callable[[], bool]


class KeyMaker:
    """Makes the keys of one app's calls.

    Args:
        func: what the app runs.
        name: the app's name.
        ignore: names of parameters that do not count, passed or not; names that only `**kwargs` takes are allowed.
        version: stands for the code, which is then not looked at.
        code: 32 bytes that stand for the code, whatever it is: of earlier code whose results are good.
        kind: what becomes of what `func` returns; the same function means something else as an app of another kind.

    Raises:
        UsageError: `ignore` names a parameter that the function does not have.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        name: str,
        *,
        ignore: Sequence[str] = (),
        version: str | None = None,
        kind: str = "python",
        code: bytes | None = None,
    ) -> None:
        self.func = func
        self.name = name
        self.version = version
        self.kind = kind
        self._code = code
        self._ignore = frozenset((ignore,) if isinstance(ignore, str) else ignore)
        bound = self._binding()
        self._ignored_rest = self._ignore - bound.parameters
        if self._ignored_rest and bound.rest is None:
            self._refuse_unknown(bound.parameters)
        self._form: _Form | None = None

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """What the keys stand for, as it is now: the function's code, then that of functions and classes in
        values that it reads. Empty where a version stands for it.
        """
        return self._current().fingerprints

    @property
    def code_digest(self) -> bytes:
        """32 bytes that stand for the code as it is now, or for the version."""
        return self._current().code_digest

    def other_name(self, name: str) -> KeyMaker:
        """What makes the keys that the same calls have under another name of the app."""
        return KeyMaker(self.func, name, ignore=sorted(self._ignore), version=self.version, kind=self.kind)

    def other_code(self, code: bytes) -> KeyMaker:
        """What makes the keys that the same calls had with other code."""
        return KeyMaker(self.func, self.name, ignore=sorted(self._ignore), kind=self.kind, code=code)

    def key(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        known: Mapping[int, bytes] | None = None,
        parts: list[ArgumentPart] | None = None,
    ) -> bytes:
        """The key of one call: 32 bytes, equal for calls that mean the same.

        Args:
            args: positional arguments, as passed.
            kwargs: keyword arguments, as passed.
            known: `id` → encoding of argument values that were encoded before; they must be alive.
            parts: takes what the arguments were bound to.

        Raises:
            TypeError: the arguments do not fit the signature; the words are Python's own.
            Unidentifiable: an argument has no stable identity; its `argument` names the parameter.
        """
        form = self._form
        if form is None or form.function.__code__ is not form.code or not form.is_current():
            form = self._renew()
        bound = form.binding.bind(*args, **kwargs)
        if self._ignored_rest:
            bound = self._without_ignored_rest(form, bound)
        if parts is not None:
            parts += [ArgumentPart(name, value, b"") for name, value in zip(form.binding.names, bound, strict=True)]
        # Spelled out here, not called: this is the whole way of most calls.
        for value in bound:
            if type(value) not in PLAIN or value != value:
                return self._key_of_any(form, bound, known, parts)
        try:
            plain = form.of_plain + dumps(bound, MARSHAL_VERSION)
            return (blake3(plain) if len(plain) < PARALLEL_BYTES else hasher(len(plain)).update(plain)).digest()
        except ValueError:  # 2 GiB of text or bytes
            return self._key_of_any(form, bound, known, parts)

    def _without_ignored_rest(self, form: _Form, bound: tuple[Any, ...]) -> tuple[Any, ...]:
        if form.binding.rest not in form.binding.names or not bound[-1]:
            return bound
        counted = {name: value for name, value in bound[-1].items() if name not in self._ignored_rest}
        return (*bound[:-1], counted or None)

    def _key_of_any(
        self,
        form: _Form,
        bound: tuple[Any, ...],
        known: Mapping[int, bytes] | None,
        parts: list[ArgumentPart] | None,
    ) -> bytes:
        state = blake3(form.of_any)
        for place, (name, value) in enumerate(zip(form.binding.names, bound, strict=True)):
            if id(value) in form.binding.bare_defaults:
                state.update(b"default")
                continue
            try:
                encoding = encode(value, known)
            except Unidentifiable as exc:
                raise Unidentifiable(exc.kind, exc.reason, name) from exc
            state.update(encoding)
            if parts is not None:
                parts[place] = ArgumentPart(name, value, blake3(encoding).digest(_PART_BYTES))
        return state.digest()

    def _current(self) -> _Form:
        form = self._form
        if form is None or form.function.__code__ is not form.code or not form.is_current():
            form = self._renew()
        return form

    def _renew(self) -> _Form:
        """At the first call, not at the decorator: by then the helpers further down the file exist."""
        bound = self._binding()
        if self._code is not None:
            fingerprints: tuple[Fingerprint, ...] = ()
            digest, is_current = self._code, _always
        elif self.version is None:
            used = UsedCode(bound.target)
            fingerprints, digest, is_current = used.fingerprints, used.digest, used.is_current
        else:
            fingerprints, is_current = (), _always
            digest = blake3(b"version\0" + text(str(self.version))).digest()
        app = text(self.kind) + text(self.name) + digest
        self._form = form = _Form(
            binding=bound,
            function=bound.function,
            code=bound.function.__code__,  # which a notebook's autoreload replaces in place
            fingerprints=fingerprints,
            code_digest=digest,
            of_plain=blake3(b"plain\0" + app).digest(),
            of_any=blake3(b"any\0" + app).digest(),
            is_current=is_current,
        )
        return form

    def _binding(self) -> Binding:
        return binding(self.func, self._ignore | SPEAK_TO_US)

    def _refuse_unknown(self, parameters: frozenset[str]) -> None:
        wrong = min(self._ignored_rest)
        raise UsageError(
            f"app {self.name!r} has no parameter {wrong!r} to ignore{near(wrong, parameters)}; "
            f"it has {', '.join(sorted(parameters)) or 'none'}"
        )


def _always() -> bool:
    return True
