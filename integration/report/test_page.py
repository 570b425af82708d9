"""report.html in a real browser: it reads as written, runs nothing, asks for nothing, and its style works."""

import html
import re
import struct
import zlib
from pathlib import Path

import pytest

from integration.report import browser
from runner.report.html.page import page
from runner.report.record import RunRecord
from tests.support import sampleruns

RUNS = {
    "thirty": sampleruns.thirty(),
    "small": sampleruns.small(),
    "unfinished": sampleruns.small(ended=False),
    "hostile": sampleruns.hostile(),
}
VISITED = ("thirty", "unfinished", "hostile")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {name: written(folder / f"{name}.html", told) for name, told in RUNS.items()}


def written(path: Path, told) -> Path:
    record = RunRecord()
    for event in told:
        record.note(event)
    path.write_bytes(page(record))
    return path


@pytest.fixture(scope="module")
def visits(pages) -> dict[str, browser.Visit]:
    return {name: browser.visit(pages[name]) for name in VISITED}


@pytest.mark.parametrize("name", VISITED)
def test_it_asks_for_nothing_and_complains_of_nothing(visits, name):
    assert visits[name].requested == ()
    console = [line for line in visits[name].log.splitlines() if "CONSOLE" in line or "Content Security" in line]
    assert console == []


@pytest.mark.parametrize("name", VISITED)
def test_the_browser_reads_it_as_it_was_written(pages, visits, name):
    """No element that the parser had to mend: as many of each as the file has."""
    wrote, read = pages[name].read_text(), visits[name].dom
    for element in ("section", "svg", "rect", "details", "article", "table", "tr", "li", "pre", "code"):
        assert len(re.findall(f"<{element}[ >]", read)) == len(re.findall(f"<{element}[ >]", wrote)), element


def test_what_builds_say_is_text(visits):
    dom = visits["hostile"].dom
    assert "<script" not in dom
    assert html.escape("<script>alert(1)</script>", quote=False) in dom
    assert not re.search("[\u202e\x00\x1b]", dom)


def test_the_policy_bites(pages, tmp_path):
    """A page into which something got in spite of all would still not run it."""
    wrote = pages["small"].read_text()
    mischief = "<script>document.title='run'</script><img src='http://127.0.0.1:9/x'><i onclick=x>"
    (tmp_path / "broken.html").write_text(wrote.replace("<main>", f"<main>{mischief}"))
    visit = browser.visit(tmp_path / "broken.html")
    assert "<title>run" not in visit.dom
    assert visit.requested == ()
    assert "Content Security Policy" in visit.log


def test_without_the_policy_the_watch_would_see_it(pages, tmp_path):
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", pages["small"].read_text())
    (tmp_path / "free.html").write_text(free.replace("<main>", "<main><img src='http://127.0.0.1:9/x'>"))
    assert browser.visit(tmp_path / "free.html").requested == ("http://127.0.0.1:9/x",)


class Picture:
    """The pixels of a PNG with 8 bits a channel, as browsers write them."""

    def __init__(self, path: Path):
        data, at, packed = path.read_bytes(), 8, b""
        while at < len(data):
            (length,) = struct.unpack(">I", data[at : at + 4])
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, _, colour = struct.unpack(">IIBB", body[:10])
            packed += body if kind == b"IDAT" else b""
            at += length + 12
        self.channels = {2: 3, 6: 4}[colour]
        self.raw = zlib.decompress(packed)

    def first(self) -> tuple[int, ...]:
        """The pixel at the upper left: it has no neighbours, so that no filter changes it."""
        return tuple(self.raw[1:4])


@pytest.mark.parametrize(("dark", "expected"), [(False, (0xF6, 0xF7, 0xF9)), (True, (0x12, 0x16, 0x1E))])
def test_its_style_is_in_effect_light_and_dark(pages, tmp_path, dark, expected):
    browser.screenshot(pages["small"], tmp_path / "x.png", width=900, height=700, dark=dark)
    picture = Picture(tmp_path / "x.png")
    assert (picture.width, picture.height) == (900, 700)
    assert picture.first() == expected


def test_a_narrow_window_does_not_scroll_sideways(pages, tmp_path):
    """A script asks the browser how wide the page became, in a copy that may run one."""
    wrote = pages["thirty"].read_text()
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", wrote)
    probe = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script></body>"
    (tmp_path / "probe.html").write_text(free.replace("</body>", probe).replace("<details>", "<details open>"))
    dom = browser.visit(tmp_path / "probe.html", width=500).dom
    wide, window = map(int, re.search(r"<title>(\d+) of (\d+)", dom).groups())
    assert wide <= window
