"""Parts of the process executor by themselves: permits, frames and the mailbox."""

from __future__ import annotations

import os
import select
import socket

from tidemill_consumers.executors.frames import Channel, Frame, encode
from tidemill_consumers.executors.mailbox import Mailbox
from tidemill_consumers.executors.permits import PermitReader, Permits


def test_a_permit_is_the_childs_or_comes_back() -> None:
    permits = Permits()
    reader = PermitReader(os.dup(permits.descriptor))
    permits.give([1, 2, 3])
    assert reader.next() == 1
    assert permits.take_back() == [2, 3]
    assert permits.take_back() == []
    permits.give([3])
    permits.end()
    assert reader.next() == 3
    assert reader.next() is None
    assert permits.take_back() == []
    permits.close()
    reader.close()


def test_frames_are_sent_as_there_is_room_and_read_in_parts() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    large = Frame({"n": 1}, bytes(1_000_000))
    assert not ours.send_soon([encode({"n": 1}, large.payload), encode({}, b"x")])
    received: list[Frame] = []
    is_sent = False
    while len(received) < 2:
        frames, is_there = theirs.receive_all()
        received += frames
        assert is_there
        is_sent = ours.send_soon([])
    assert received == [large, Frame({}, b"x")]
    assert is_sent
    assert theirs.receive_all() == ([], True)
    ours.close()
    assert theirs.receive_all() == ([], False)
    theirs.close()


def test_a_mailbox_is_heard_once_while_it_is_watched() -> None:
    mailbox = Mailbox()
    called: list[int] = []
    mailbox.post(lambda: called.append(1))
    assert not _is_readable(mailbox)
    mailbox.watch()
    mailbox.post(lambda: called.append(2))
    mailbox.post(lambda: called.append(3))
    assert _is_readable(mailbox)
    mailbox.read()
    assert called == [1, 2, 3]
    assert not _is_readable(mailbox)
    mailbox.watch()
    mailbox.close()
    mailbox.wake()


def _is_readable(mailbox: Mailbox) -> bool:
    return bool(select.select([mailbox], [], [], 0)[0])
