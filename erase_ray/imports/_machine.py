"""Interprets the instructions of a pickle without Python's unpickler.

The instructions are parsed by :mod:`pickletools`, which takes pickles apart and executes nothing.
This machine knows those that make plain values and containers. A global is never looked up in a
module: it is a name, which :mod:`._globals` turns into a function of this package, an inert record
or an error.
"""

import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch

from erase_ray.imports._limits import Budget, Limits
from erase_ray.imports._values import Box, Call, Inert, InertClass
from erase_ray.imports.errors import ForeignFileError

MARK = object()
KEY_BITS = 64
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
MADE = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
LITERALS = frozenset(
    [
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"),
        *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)
HIGHEST_PROTOCOL = 5

Find = Callable[[str, str], Any]
"""What stands for a global, by module and name; raises where it may not."""
Persistent = Callable[[Any], Any]
"""What stands for a persistent id."""


class Machine:
    """One run over one pickle.

    Args:
        name: Of the file, for errors.
        find: Answers for globals.
        persistent: Answers for persistent ids.
        budget: What calls may take.
        limits: Bounds of the rest.
    """

    def __init__(
        self, name: str, find: Find, persistent: Persistent, budget: Budget, limits: Limits
    ) -> None:
        self._name, self._find, self._persistent = name, find, persistent
        self._budget, self._limits = budget, limits
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._acts: dict[str, Callable[[Any], None]] = {
            name.removeprefix("_on_").upper(): getattr(self, name)
            for name in dir(self)
            if name.startswith("_on_")
        }

    def run(self, file: BinaryIO) -> Any:
        """The value of the pickle that begins here; the file is left behind its last byte.

        Raises:
            ForeignFileError: The pickle is damaged, too large for its content, or asks for
                something that is not admitted.
        """
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if count >= self._limits.operations:
                    raise self.error(f"has more than {self._limits.operations} instructions")
                if opcode.name == "STOP":
                    break
                self._step(opcode.name, argument)
        except (ValueError, struct.error, OverflowError, IndexError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())[:200]
            raise self.error(f"is damaged or cut off, or no pickle ({text})") from error
        if len(self._stack) != 1 or self._stack[0] is MARK:
            raise self.error("is damaged: it does not end with one value")
        return self._stack.pop()

    def error(self, text: str) -> ForeignFileError:
        """What to raise, with the name of the file in front."""
        return ForeignFileError(f"{self._name} {text}")

    def _step(self, name: str, argument: Any) -> None:
        if name in LITERALS:
            self._stack.append(self._checked(argument))
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name])
        elif name in MADE:
            self._stack.append(MADE[name]())
        elif name in self._acts:
            self._acts[name](argument)
        elif name == "PROTO":
            if argument > HIGHEST_PROTOCOL:
                raise self.error(f"is a pickle of protocol {argument}; 0 to 5 are read")
        elif name != "FRAME":
            what = f" '{_dotted(argument)}'" if name == "INST" else ""
            what = what or (f" {argument}" if argument is not None else "")
            raise self.error(
                f"uses the instruction {name}{what}, which only makes objects of classes; {WAY_OUT}"
            )

    def _checked(self, value: Any) -> Any:
        if isinstance(value, int) and value.bit_length() > self._limits.integer_bits:
            raise self.error(f"holds an integer of {value.bit_length()} bits")
        return value

    def _pop(self, kind: type | None = None) -> Any:
        if not self._stack or self._stack[-1] is MARK:
            raise self.error("is damaged: an instruction finds no value")
        value = self._stack.pop()
        if kind is not None and type(value) is not kind:
            raise self.error(
                f"is damaged: an instruction finds a {type(value).__name__} for a {kind.__name__}"
            )
        return value

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is MARK:
            raise self.error("is damaged: an instruction finds no value")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise self.error("is damaged: a mark is missing")

    def _on_mark(self, _: Any) -> None:
        self._stack.append(MARK)

    def _on_pop(self, _: Any) -> None:
        if not self._stack:
            raise self.error("is damaged: an instruction finds no value")
        self._stack.pop()

    def _on_pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _on_dup(self, _: Any) -> None:
        self._stack.append(self._top())

    def _on_memoize(self, _: Any) -> None:
        self._remember(len(self._memo))

    def _on_put(self, place: int) -> None:
        self._remember(place)

    _on_binput = _on_long_binput = _on_put

    def _remember(self, place: int) -> None:
        value = self._top()
        self._memo[place] = value
        if isinstance(value, Box):
            value.places.append(place)

    def _on_get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    _on_binget = _on_long_binget = _on_get

    def _on_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _on_tuple1(self, _: Any) -> None:
        self._stack.append((self._pop(),))

    def _on_tuple2(self, _: Any) -> None:
        second = self._pop()
        self._stack.append((self._pop(), second))

    def _on_tuple3(self, _: Any) -> None:
        third, second = self._pop(), self._pop()
        self._stack.append((self._pop(), second, third))

    def _on_list(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    def _on_append(self, _: Any) -> None:
        value = self._pop()
        self._target(list).append(value)

    def _on_appends(self, _: Any) -> None:
        values = self._since_mark()
        self._target(list).extend(values)

    def _on_dict(self, _: Any) -> None:
        values = self._since_mark()
        self._stack.append({})
        self._set(values)

    def _on_setitem(self, _: Any) -> None:
        value = self._pop()
        self._set([self._pop(), value])

    def _on_setitems(self, _: Any) -> None:
        self._set(self._since_mark())

    def _on_additems(self, _: Any) -> None:
        values = [self._key(value) for value in self._since_mark()]
        self._target(set).update(values)

    def _on_frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(self._key(value) for value in self._since_mark()))

    def _set(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise self.error("is damaged: a key of a dictionary has no value")
        target = self._target(dict, OrderedDict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[self._key(key)] = value

    def _target(self, *kinds: type) -> Any:
        """The container on top, which one of this machine has made."""
        value = self._top()
        if type(value) not in kinds:
            raise self.error(f"puts items into a {_called(value)}; {WAY_OUT}")
        return value

    def _key(self, key: Any) -> Any:
        """A key that is hashed at once, whatever it holds."""
        for part in key if type(key) is tuple else (key,):
            if type(part) not in KEYS and not isinstance(part, np.generic):
                raise self.error(f"has a {type(part).__name__} as a key of a dictionary or set")
            if type(part) is int and part.bit_length() > KEY_BITS:
                raise self.error(f"has an integer of {part.bit_length()} bits as a key")
        return key

    def _on_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(self._find(module, name))

    def _on_stack_global(self, _: Any) -> None:
        name = self._pop(str)
        self._stack.append(self._find(self._pop(str), name))

    def _on_reduce(self, _: Any) -> None:
        arguments = self._pop(tuple)
        self._stack.append(self._call(self._pop(), arguments))

    def _on_newobj(self, _: Any) -> None:
        arguments = self._pop(tuple)
        self._stack.append(self._made(self._pop(), arguments))

    def _on_newobj_ex(self, _: Any) -> None:
        named, arguments = self._pop(dict), self._pop(tuple)
        self._stack.append(self._made(self._pop(), (*arguments, named)))

    def _call(self, callee: Any, arguments: tuple[Any, ...]) -> Any:
        if isinstance(callee, InertClass):
            return Inert(callee.name, arguments)
        if not isinstance(callee, Call):
            raise self.error(f"calls a {_called(callee)}; {WAY_OUT}")
        try:
            return callee.function(arguments, self._budget)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            text = " ".join(str(error).split())[:200]
            raise self.error(f"is damaged: {callee.name} does not fit its content ({text})") from (
                error
            )

    def _made(self, kind: Any, arguments: tuple[Any, ...]) -> Inert:
        if not isinstance(kind, InertClass):
            raise self.error(f"makes an object of '{_called(kind)}'; {WAY_OUT}")
        return Inert(kind.name, arguments)

    def _on_build(self, _: Any) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Inert):
            target.state = state
        elif isinstance(target, Box):
            self._stack[-1] = target.filled(state)
            for place in target.places:
                self._memo[place] = self._stack[-1]
        elif not (type(target) is OrderedDict and type(state) is dict):
            raise self.error(f"gives a state to a {_called(target)}; {WAY_OUT}")
        # what an OrderedDict carries beside its items (versions of modules) is left out

    def _on_binpersid(self, _: Any) -> None:
        self._stack.append(self._persistent(self._pop()))

    def _on_persid(self, argument: Any) -> None:
        self._stack.append(self._persistent(argument))


KEYS = frozenset(
    {str, bytes, int, float, bool, complex, type(None), torch.dtype, torch.device, Inert}
)
WAY_OUT = (
    "only tensors and plain containers are read. If you trust the file, save what you need of it "
    "as safetensors, JSON or Parquet in the environment that made it"
)


def _called(value: Any) -> str:
    """The global behind a value, or its type."""
    is_named = isinstance(value, Call | Inert | InertClass)
    return value.name if is_named else type(value).__name__


def _dotted(argument: Any) -> str:
    return str(argument).replace(" ", ".")
