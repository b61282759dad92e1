"""Messages on a socket pair: whole, in order, and never waiting for the other side."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from pickle import PickleBuffer
from typing import Any

import pytest

from parslish.executors.wire import Channel

SIZES = [0, 1, 100, 4096, 65_535, 65_536, 65_537, 200_000, 3_000_000]


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    left, right = map(Channel, socket.socketpair())
    yield left, right
    left.close()
    right.close()


def pump(left: Channel, right: Channel, count: int) -> tuple[list[Any], list[Any]]:
    """Let both ends write and read in turns, in one thread, until each has `count` messages."""
    came: tuple[list[Any], list[Any]] = ([], [])
    for _ in range(1_000_000):
        for channel, messages in ((left, came[0]), (right, came[1])):
            channel.flush()
            messages += channel.receive()
        if min(len(came[0]), len(came[1])) >= count:
            return came
    raise AssertionError("the messages did not come")


def message(rng: random.Random) -> tuple[Any, ...]:
    buffers = [PickleBuffer(rng.randbytes(rng.choice(SIZES))) for _ in range(rng.randrange(4))]
    return rng.randrange(10), rng.randbytes(rng.choice(SIZES[:7])), buffers


def plain(messages: list[Any]) -> list[Any]:
    return [(number, body, [bytes(buffer) for buffer in buffers]) for number, body, buffers in messages]


@pytest.mark.parametrize("seed", range(10))
def test_messages_of_all_sizes_arrive_whole_and_in_order(pair: tuple[Channel, Channel], seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    left, right = pair
    sent = [message(rng) for _ in range(20)], [message(rng) for _ in range(20)]
    for channel, messages in zip(pair, sent, strict=True):
        for envelope in messages:
            channel.send(envelope)
    at_left, at_right = pump(left, right, 20)
    assert plain(at_left) == plain(sent[1])
    assert plain(at_right) == plain(sent[0])


def test_a_hundred_megabytes_each_way_do_not_wait_for_each_other(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    block = bytes(100_000_000)
    left.send((1, PickleBuffer(block)))
    right.send((2, PickleBuffer(block)))
    assert left.unsent
    assert right.unsent
    (_, at_left), (_, at_right) = (messages[0] for messages in pump(left, right, 1))
    assert len(at_left) == len(at_right) == 100_000_000


def test_a_received_buffer_can_be_written_to(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    left.send((PickleBuffer(bytearray(10)), PickleBuffer(bytearray(1_000_000))))
    right.send(())
    for buffer in pump(left, right, 1)[1][0]:
        memoryview(buffer)[0] = 7


def test_sending_to_someone_who_never_reads_does_not_block(pair: tuple[Channel, Channel]) -> None:
    left, _ = pair
    for _ in range(100):
        left.send((bytes(100_000),))
    assert left.unsent


def test_many_buffers_go_in_one_message(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    left.send(tuple(PickleBuffer(bytes([i % 256]) * 10) for i in range(3000)))
    right.send(())
    buffers = pump(left, right, 1)[1][0]
    assert [b[0] for b in buffers] == [i % 256 for i in range(3000)]


def test_the_end_of_the_stream_closes_and_loses_nothing_that_was_sent(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    left.send((1,))
    left.close()
    assert list(right.receive()) == [(1,)]
    assert list(right.receive()) == []
    assert right.closed


def test_a_message_cut_short_by_the_end_is_not_delivered(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    left.sock.send(struct.pack("<IQ", 1, 1000) + b"only this")
    left.close()
    assert list(right.receive()) == []
    assert right.closed


def test_sending_to_the_dead_closes_quietly(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    right.close()
    left.send((1,))
    left.send((2,))
    assert left.closed


def test_flush_all_waits_until_the_other_side_has_taken_everything(pair: tuple[Channel, Channel]) -> None:
    left, right = pair
    left.send((PickleBuffer(bytes(5_000_000)),))
    thread = threading.Thread(target=left.flush_all)
    thread.start()
    messages: list[Any] = []
    while not messages:
        messages += right.receive()
    thread.join()
    assert not left.unsent
