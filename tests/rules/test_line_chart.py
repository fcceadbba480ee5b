from xml.etree import ElementTree as ET

from rules.authoring.line_chart import line_chart

SVG = "{http://www.w3.org/2000/svg}"


def test_points_lie_on_the_scales_that_are_shown() -> None:
    chart = line_chart("a title", "x", "y", {"flat": [(1, 1), (100, 1)], "up": [(10, 10)]})
    root = ET.fromstring(chart)  # noqa: S314 - it was made here
    circles = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    (left, low), (right, also_low), (middle, high) = circles
    assert low == also_low > high
    assert middle - left == right - middle
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"a title", "x", "y", "flat", "up", "1", "10", "100"} == set(texts)


def test_a_linear_scale_has_whole_steps_around_all_points() -> None:
    chart = line_chart("a & b", "x", "y", {"<up>": [(0, 5), (7, 98)]}, "linear")
    root = ET.fromstring(chart)  # noqa: S314 - it was made here
    texts = [element.text for element in root.iter(f"{SVG}text")]
    across = ["0", "2", "4", "6", "8"]
    assert texts == ["a & b", "x", "y", *across, "0", "20", "40", "60", "80", "100", "<up>"]
    circles = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    assert circles == [(60, 260.4), (436.2, 44.6)]


def test_a_flat_line_has_a_scale_too() -> None:
    for points in ([(0.0, 0.0)], [(3.0, 0.25), (3.0, 0.25)]):
        chart = line_chart("t", "x", "y", {"flat": points}, "linear")
        assert "nan" not in chart
