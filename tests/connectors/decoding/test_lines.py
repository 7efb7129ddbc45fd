from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding import lines as lines_module
from nextclick.connectors.decoding.lines import LineCutter, Lines


def cut(text: bytes, chunks: list[int]) -> list[Lines]:
    cutter = LineCutter()
    blocks = []
    start = 0
    for size in chunks:
        blocks += cutter.feed(text[start : start + size])
        start += size
    blocks += cutter.feed(text[start:])
    return blocks + cutter.finish()


TEXT = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\r", b""])).map(b"".join)


@given(TEXT, st.lists(st.integers(0, 5)))
def test_lines_are_the_same_however_the_bytes_arrive(text: bytes, chunks: list[int]) -> None:
    expected = text.split(b"\n")
    if not expected[-1]:
        expected.pop()
    blocks = cut(text, chunks)
    assert [line for block in blocks for line in block.split()] == [
        line.removesuffix(b"\r") for line in expected
    ]
    assert [block.raw(i)[0] for block in blocks for i in range(len(block))] == expected


@given(TEXT, st.lists(st.integers(0, 5)), st.data())
def test_offset_and_crc_are_those_of_the_bytes_before(
    text: bytes, chunks: list[int], data: st.DataObject
) -> None:
    offset = line = 0
    for block in cut(text, chunks):
        assert (block.line, block.offset, block.crc) == (line, offset, zlib.crc32(text[:offset]))
        for count in data.draw(st.lists(st.integers(0, len(block)))):
            end = offset + (int(block.ends[count - 1]) if count else 0)
            assert block.after(count) == (end, zlib.crc32(text[:end]))
        if len(block) > 1:
            assert block.rest(1).split() == block.split()[1:]
        line, offset = line + len(block), block.end_offset
    assert offset == len(text)


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(1, 9)))
def test_a_line_too_long_is_set_aside_and_the_rest_stands(
    sizes: list[int], chunks: list[int]
) -> None:
    text = b"".join(b"x" * size + b"\n" for size in sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "LONGEST_LINE", 10)
        patch.setattr(lines_module, "LONG", 4)
        blocks = cut(text, chunks)
    found = []
    for block in blocks:
        if block.fault is not None:
            assert block.fault[0] == "line_too_long"
            assert len(block.data) == 4
            found.append(">10")
        else:
            found += [str(len(line)) for line in block.split()]
        assert block.end_crc == zlib.crc32(text[: block.end_offset])
    assert found == [">10" if size > 10 else str(size) for size in sizes]


def test_a_line_that_damage_cuts_off_is_truncated() -> None:
    cutter = LineCutter()
    whole = cutter.feed(b"a,b\nc,")
    cut_off = cutter.finish("the disk is wet")
    assert [block.fault for block in whole] == [None]
    assert cut_off[0].fault == ("truncated", "the line is cut off: the disk is wet")
    assert (cut_off[0].line, cut_off[0].end_offset) == (1, 6)
