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
