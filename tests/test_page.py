"""The page: what it says, and how it behaves in a real browser."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from clbench.page import across, charts, render, view, write_page

SHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
HOSTILE = "<script>document.title='owned'</script>&\"' </script><b>"

# --- documents -----------------------------------------------------------------------

FAMILIES = {
    "clip": (
        "Last",
        "%",
        ["kinds", "colours", "textures", "numbers", "places", "digits"],
    ),
    "dg": ("Target accuracy", "%", ["photo", "cartoon", "sketch", "painting"]),
    "dpo": (
        "Preference accuracy",
        "%",
        ["brief", "polite", "factual", "safe", "detailed"],
    ),
    "mtl": ("Δm", "%", ["semseg", "human_parts", "sal", "normals"]),
    "nlu": ("Average", "%", ["mood", "topic", "agree", "order"]),
}
NAMES = [
    "pego", "ewc", "lwf", "replay", "l2 pull=0.01", "agem", "wiseft",
    "codyra+ewc rank=8", "zscl", "zeroshot", "finetune", "olora", "lora",
]  # fmt: skip


def spread(values: list[float]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    half = 2 * (max(values) - min(values)) or None
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high, "values": values}


def column(key: str, label: str, higher: bool | None = True, fold=None, unit="%"):
    return {
        "key": key,
        "label": label,
        "unit": unit,
        "higher_is_better": higher,
        "definition": f"What {label} is, in a sentence.",
        "fold": fold,
    }


def row(drawn: random.Random, board: str, label: str, rank, tasks, fold) -> dict:
    few, bound = label == "zscl", rank is None
    seeds = [0] if few else [0, 1, 2, 3, 4]
    level = 75 - (rank or 0) * 1.5
    last = [round(level + drawn.gauss(0, 1), 4) for _ in seeds]
    trained = 0 if label == "zeroshot" else int(10 ** drawn.uniform(4, 6.2))
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    records = []
    for seed in seeds:
        values = [
            [
                round(
                    level - 15 + 15 * (e > t) - 1.2 * max(e - t, 0) + drawn.gauss(0, 2),
                    4,
                )
                for t in range(len(tasks))
            ]
            for e in range(len(tasks) + 1)
        ]
        records.append(
            {
                "path": f"clip/records/{slug}--{seed}.json" if seed else None,
                "key": f"{drawn.getrandbits(48):012x}",
                "seed": seed,
                "fold": fold,
                "matrix": {
                    "metric": "accuracy",
                    "unit": "%",
                    "tasks": tasks,
                    "rows": [
                        {"experience": e, "step": 100 * e, "values": v}
                        for e, v in enumerate(values)
                    ],
                },
            }
        )
    return {
        "id": f"{board}--{slug}",
        "rank": rank,
        "group": None if bound else 1 + (rank - 1) // 3,
        "rank_interval": None if bound else [max(1, rank - 1), rank + 1],
        "label": label,
        "strategy": label.split()[0],
        "bound": bound,
        "repeats": len(seeds),
        "few": few,
        "scores": {
            "main": spread(last),
            "forgetting": spread([drawn.uniform(0, 20) for _ in seeds]),
            "bwt": spread([drawn.uniform(-20, 0) for _ in seeds]),
            "transfer": None
            if bound
            else spread([drawn.uniform(50, 60) for _ in seeds]),
            "first": spread([drawn.uniform(50, 60) for _ in seeds]),
        },
        "seeds": seeds,
        "factors": {},
        "cost": {
            "adapter": trained,
            "other": 0,
            "head": 0,
            "parameters": 1398624 + trained,
            "seconds": drawn.uniform(20, 60),
            "examples_per_second": drawn.uniform(300, 1000),
            "peak_bytes": int(drawn.uniform(1.1, 1.9) * 2**30),
            "flops": int(10 ** drawn.uniform(10, 12)),
        },
        "device": "cpu",
        "origin": "local" if label == "agem" else "built in",
        "members": [{"name": label, "origin": "built in", "version": "0.1.0"}],
        "versions": {"clbench": "0.1.0", "torch": "2.15.0"},
        "commits": ["b81c7b32"],
        "dirty": label == "l2 pull=0.01",
        "trials": None,
        "reproduce": f"clbench run strategy={label} scenario=clip seed=0,1,2,3,4",
        "records": records,
    }


def document(scenario: str, names: list[str] = NAMES, seed: int = 0) -> dict[str, Any]:
    drawn = random.Random(f"{scenario}{seed}")
    main, unit, tasks = FAMILIES[scenario]
    fold = tasks[0] if scenario == "dg" else None
    board = f"{scenario}-pocket-pocket-9676097a"
    rows = [row(drawn, board, "finetune arrival=joint", None, tasks, fold)]
    rows += [row(drawn, board, n, r, tasks, fold) for r, n in enumerate(names, 1)]
    return {
        "format": 1,
        "scenario": scenario,
        "summary": f"What {scenario} is about, in the first line of its docstring.",
        "boards": [
            {
                "id": board,
                "title": "pocket, backbone pocket",
                "data": "pocket",
                "backbone": "pocket",
                "fingerprint": "490c706193dc" + "0" * 52,
                "version": 1,
                "settings": {"arrival": "sequential"},
                "budget": {"steps": 600, "batch_size": 32},
                "budget_text": "600 steps of 32 examples",
                "main": "main",
                "replicates": ["order_seed"],
                "columns": [
                    column("main", main, unit=unit),
                    column("forgetting", "Forgetting", False),
                    column("bwt", "BWT"),
                    column("transfer", "Transfer"),
                    column("first", tasks[0], fold=tasks[0]),
                ],
                "rows": rows,
                "missing": [
                    {
                        "strategy": "pego",
                        "settings": "",
                        "seeds": [3, 4],
                        "folds": [],
                        "command": "clbench run strategy=pego seed=3,4",
                    }
                ],
                "failed": [
                    {
                        "strategy": "dora",
                        "seed": 0,
                        "reason": "the loss is NaN",
                        "status": "failed",
                        "fold": None,
                    }
                ],
                "apart": [
                    {"board": "other", "key": "budget.steps", "here": 600, "there": 7}
                ],
                "note": "Last is against `finetune arrival=joint`.",
                "reported": [
                    {
                        "label": "CoDyRA",
                        "scores": {"main": 80.1},
                        "source": "Lu et al. 2025, table 1",
                        "protocol": "X-TAIL, 16 shots, CLIP ViT-B/16",
                        "certainty": "read in the paper",
                        "url": "https://arxiv.org/abs/2412.01004",
                    }
                ],
            }
        ],
        "unread": [{"path": "runs/clip/x.json", "reason": "its hash differs"}],
    }


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """Five families; what their records say is hostile in one place of each kind."""
    made = [document(name) for name in FAMILIES]
    made[0]["boards"].append(document("clip", NAMES[:4], seed=1)["boards"][0])
    second = made[0]["boards"][1]
    second["id"] = "clip-folders-vit-11112222"
    second["title"] = "folders, backbone openai/clip-vit-base-patch16"
    for each in second["rows"]:
        each["id"] = each["id"].replace("clip-pocket-pocket-9676097a", second["id"])
    return made


@pytest.fixture(scope="module")
def path(documents, tmp_path_factory) -> Path:
    hostile = documents[1]["boards"][0]
    first = hostile["rows"][1]
    first["label"] = first["reproduce"] = first["device"] = HOSTILE
    first["records"][1]["path"] = "javascript:alert(1)//.json"
    first["records"][1]["matrix"]["tasks"] = [HOSTILE, *FAMILIES["dg"][2][1:]]
    hostile["reported"][0] |= {"source": HOSTILE, "url": "javascript:alert(2)"}
    hostile["missing"][0]["strategy"] = hostile["failed"][0]["reason"] = HOSTILE
    documents[1]["summary"] = hostile["columns"][1]["definition"] = HOSTILE
    path = tmp_path_factory.mktemp("page") / "index.html"
    write_page(documents, path)
    return path


# --- the file ------------------------------------------------------------------------


class Tags(HTMLParser):
    """Names and attributes of the elements of a page, and the text of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_nothing_is_fetched_and_nothing_else_may_run(path):
    tags = Tags(path.read_text()).found
    for name, attributes in tags:
        assert "src" not in attributes
        if name == "link":
            assert attributes["href"].startswith("data:")
        assert not any(key.startswith("on") for key in attributes)
    (policy,) = [a["content"] for n, a in tags if n == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_ids_are_unique_and_every_reference_leads_somewhere(path):
    tags = Tags(path.read_text()).found
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        for name in ("aria-describedby", "aria-labelledby"):
            assert attributes.get(name, ids[0]) in ids
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_without_scripts_the_tables_are_there(path):
    text = path.read_text()
    assert text.count("<tr id=") == 5 * (1 + len(NAMES)) + 5
    assert "clbench run strategy=ewc scenario=clip seed=0,1,2,3,4" in text
    assert "CoDyRA" in text
    assert "seed 3, 4" in text


def test_equal_documents_give_an_equal_page(documents, path):
    copy = json.loads(json.dumps(documents))
    assert render(copy) == path.read_text()


def test_what_says_script_ends_no_script():
    text = str(charts.embedded({"a": HOSTILE}))
    assert "<" not in text
    assert json.loads(text) == {"a": HOSTILE}


def test_a_front_is_what_nothing_beats():
    points = [(1, 50), (2, 40), (2, 60), (3, 60), (4, 70), (0.5, 10)]
    assert charts.front(points) == [5, 0, 2, 4]
    # Where less is better, the cheapest of equals counts.
    assert charts.front(points, higher=False) == [5]
    assert charts.front([(1, 5), (1, 5)]) == [0]
    assert charts.front([]) == []


def test_mean_ranks_over_boards_and_who_is_not_told_apart():
    names = "abcd"
    first = dict(zip(names, (4.0, 3.0, 2.0, 1.0), strict=True))
    second = dict(zip(names, (4.0, 3.0, 1.0, 1.0), strict=True))
    found = across.across([first, second | {"only here": 9.0}])
    assert [(p.label, p.mean) for p in found["places"]] == [
        ("a", 1.0),
        ("b", 2.0),
        ("c", 3.25),
        ("d", 3.75),
    ]
    # q = 2.569 for four (Demšar 2006, table 5), 2.569 sqrt(4 5 / (6 2)) = 3.317.
    assert found["critical"] == pytest.approx(3.317, abs=2e-3)
    assert across.alike([1.0, 2.0, 3.25, 3.75], 1.5) == [(0, 1), (1, 2), (2, 3)]
    assert across.alike([1.0, 2.0], 1.0) == []
    assert across.across([first]) is None
    assert across.across([{"a": 1.0, "b": 2.0}] * 3) is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (71.25, "%", "71.2"),
        (-0.01, "%", "0.0"),
        (-5.5, "%", "−5.5"),
        (0.12346, "", "0.1235"),
        (3.0, "", "3"),
    ],
)
def test_numbers_are_written_as_people_read_them(value, unit, text):
    assert view.number(value, unit) == text


def test_an_interval_that_is_not_symmetric_is_written_out():
    made = document("clip", NAMES[:1])
    made["boards"][0]["rows"][1]["scores"]["main"] |= {
        "mean": 70,
        "low": 60,
        "high": 72,
    }
    (family,) = [view.family(made)]
    assert family["boards"][0]["rows"][1]["score"].sub == "60.0 – 72.0"


# --- in a browser --------------------------------------------------------------------

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium here (Debian: apt-get install chromium)")
    with sync.sync_playwright() as started:
        made = started.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def visit(browser, path) -> Iterator[Any]:
    """Opens the page; at the end nothing was said on the console, nothing fetched."""
    said: list[str] = []
    contexts = []

    def opened(
        where="", *, page=path, width=1280, height=900, scheme="light", **options
    ):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda m: said.append(f"{m.type}: {m.text}"))
        tab.on("pageerror", lambda e: said.append(str(e)))
        tab.on("dialog", lambda d: (said.append(d.message), d.dismiss()))
        tab.on(
            "request",
            lambda r: (
                said.append(f"request of {r.url}")
                if not r.url.startswith((page.as_uri(), "data:"))
                else None
            ),
        )
        tab.goto(page.as_uri() + where)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert said == []


CLIP = "#clip-pocket-pocket-9676097a"
ROWS = f"{CLIP} table.board tbody tr"


def first_column(tab, selector=ROWS) -> list[str]:
    return [
        text.strip() for text in tab.locator(f"{selector} th code").all_inner_texts()
    ]


def head(tab, label):
    return tab.locator(f"{CLIP} thead th").filter(has_text=label)


def drawn(tab, chart, board=CLIP):
    figure = tab.locator(f"{board} [data-chart={chart}]")
    figure.scroll_into_view_if_needed()
    figure.locator("svg").first.wait_for()
    return figure


def test_tabs_by_keyboard(visit):
    tab = visit()
    chosen = tab.locator("[role=tab][aria-selected=true]")
    assert chosen.inner_text() == "Overview"
    chosen.focus()
    tab.keyboard.press("ArrowRight")
    assert chosen.inner_text() == "clip"
    assert tab.locator("[role=tabpanel]:visible").count() == 1
    assert tab.evaluate("document.activeElement.id") == "tab-family-clip"
    tab.keyboard.press("End")
    assert chosen.inner_text() == "nlu"
    tab.keyboard.press("ArrowRight")
    assert chosen.inner_text() == "Overview"
    # One stop for all tabs: the next is within the panel or beside them.
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('role')") != "tab"


def test_a_header_sorts_by_click_and_by_key(visit):
    tab = visit(CLIP)
    ranks = first_column(tab)
    trained = head(tab, "Trained")
    assert trained.get_attribute("aria-sort") == "none"
    trained.locator("button").click()
    assert trained.get_attribute("aria-sort") == "ascending"
    assert head(tab, "#").get_attribute("aria-sort") == "none"
    assert first_column(tab)[0] == "zeroshot"
    trained.locator("button").focus()
    tab.keyboard.press("Enter")
    assert trained.get_attribute("aria-sort") == "descending"
    assert first_column(tab)[-1] == "zeroshot"
    tab.keyboard.press("Space")
    assert first_column(tab)[0] == "zeroshot"
    # More is better there, so the best come first; what has no value comes last.
    head(tab, "Transfer").locator("button").click()
    assert first_column(tab)[-1] == "finetune arrival=joint"
    numbers = tab.locator(f"{ROWS} td:nth-child(7)").all_inner_texts()
    values = [float(n.split("±")[0].replace("−", "-")) for n in numbers[:-1]]
    assert values == sorted(values, reverse=True)
    head(tab, "#").locator("button").click()
    assert first_column(tab) == [*ranks[1:], ranks[0]]


def test_filters_and_columns(visit):
    tab = visit(CLIP)
    board = tab.locator(CLIP)
    board.get_by_placeholder("Filter strategies").fill("ewc")
    assert first_column(tab) == ["ewc", "codyra+ewc rank=8"]
    assert board.locator(".count").inner_text() == "2 of 14 rows"
    board.get_by_placeholder("Filter strategies").fill("")
    boxes = {"bounds": "finetune arrival=joint", "few repeats": "zscl", "local": "agem"}
    for label, gone in boxes.items():
        assert gone in first_column(tab)
        board.get_by_label(label, exact=True).uncheck()
        assert gone not in first_column(tab)
    assert head(tab, "FLOPs").is_hidden()
    board.locator(".menu summary").click()
    board.get_by_label("FLOPs").check()
    board.get_by_label("Forgetting").uncheck()
    assert head(tab, "FLOPs").is_visible()
    assert head(tab, "Forgetting").is_hidden()
    tab.keyboard.press("Escape")
    assert board.get_by_label("FLOPs").is_hidden()


def test_definitions_on_hover_and_on_focus(visit):
    tab = visit(CLIP)
    tip = tab.locator("#tip")
    assert tip.is_hidden()
    head(tab, "Forgetting").locator("button").hover()
    tip.wait_for()
    assert tip.inner_text() == "What Forgetting is, in a sentence."
    tab.mouse.move(5, 5)
    tip.wait_for(state="hidden")
    head(tab, "Forgetting").locator("button").focus()
    tip.wait_for()
    tab.keyboard.press("Escape")
    tip.wait_for(state="hidden")
    for button in tab.locator(f"{CLIP} thead button").all():
        words = tab.locator(f"[id='{button.get_attribute('aria-describedby')}']")
        assert words.text_content().strip()


def test_a_permalink_opens_its_board(visit):
    tab = visit("#clip-folders-vit-11112222")
    board = tab.locator("#clip-folders-vit-11112222")
    assert tab.locator("[role=tab][aria-selected=true]").inner_text() == "clip"
    top = board.bounding_box()["y"]
    assert 0 <= top < 200
    tab = visit("#dpo-pocket-pocket-9676097a--lora")
    assert tab.locator("[role=tab][aria-selected=true]").inner_text() == "dpo"
    tab.evaluate("location.hash = '#mtl-pocket-pocket-9676097a'")
    tab.locator("#family-mtl").wait_for()
    assert tab.locator("[role=tab][aria-selected=true]").inner_text() == "mtl"


def test_commands_and_links_are_copied(visit):
    tab = visit(CLIP, permissions=["clipboard-read", "clipboard-write"])
    read = "navigator.clipboard.readText()"
    row = tab.locator("[id='clip-pocket-pocket-9676097a--ewc']")
    row.get_by_text("Copy").click()
    row.get_by_text("Copied").wait_for()
    command = "clbench run strategy=ewc scenario=clip seed=0,1,2,3,4"
    assert tab.evaluate(read) == command
    tab.locator(CLIP).get_by_text("Copy link").click()
    tab.locator(CLIP).get_by_text("Copied").last.wait_for()
    assert tab.evaluate(read).endswith(f"index.html{CLIP}")
    row.locator("details summary").click()
    hrefs = [a.get_attribute("href") for a in row.locator("details a").all()]
    assert hrefs == [f"clip/records/ewc--{seed}.json" for seed in range(1, 5)]


def test_the_heat_map_shows_the_numbers_of_a_record(visit, documents):
    tab = visit(CLIP)
    heat = drawn(tab, "heat")

    def numbers():
        texts = heat.locator("svg .mark-text text").all_text_contents()
        return [float(t) for t in texts if re.fullmatch(r"-?\d+\.\d", t)]

    def expected(row, record):
        made = documents[0]["boards"][0]["rows"][row]["records"][record]["matrix"]
        return [float(f"{v:.1f}") for r in made["rows"] for v in r["values"]]

    assert numbers()[-42:] == expected(1, 0)
    heat.get_by_label("Strategy").select_option("ewc")
    heat.get_by_label("Record").select_option("seed 3")
    tab.wait_for_function(
        "want => [...document.querySelectorAll('[data-chart=heat] svg text')]"
        ".some(t => t.textContent === want)",
        arg=f"{documents[0]['boards'][0]['rows'][2]['records'][3]['matrix']['rows'][6]['values'][5]:.1f}",
    )
    assert numbers()[-42:] == expected(2, 3)


def test_fronts_and_curves_are_drawn(visit):
    tab = visit(CLIP)
    pareto = drawn(tab, "pareto")
    pareto.locator("svg").nth(2).wait_for()
    assert pareto.locator("svg").count() == 3
    assert pareto.locator("svg").first.locator(".mark-line path").count() == 1
    assert "zeroshot" in pareto.locator("svg").first.text_content()
    curve = drawn(tab, "curve")
    curve.locator("svg").nth(6).wait_for()  # Six tasks and their mean.
    lines = "svg >> nth=0 >> .mark-line path"
    assert curve.locator(lines).count() == 4
    curve.get_by_label("Add").select_option("lora")
    curve.locator(".chips button").nth(4).wait_for()
    tab.wait_for_function(
        "document.querySelectorAll('[data-chart=curve] svg')[0]"
        ".querySelectorAll('.mark-line path').length === 5"
    )
    curve.get_by_label("Take pego off the curves").click()
    assert curve.locator(".chips button").count() == 4


def test_the_charts_library_is_not_read_before_a_chart_is_seen(visit):
    tab = visit()
    assert tab.evaluate("typeof window.vegaEmbed") == "undefined"


def test_dark_and_light(visit):
    tab = visit(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(ground)
    tab.get_by_role("button", name="Switch to light colours").click()
    light = tab.evaluate(ground)
    assert dark != light
    tab.reload()
    assert tab.evaluate(ground) == light
    assert visit(scheme="light").evaluate(ground) == light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_fits_and_is_photographed(visit, width, scheme):
    tab = visit(width=width, scheme=scheme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for where in ("", CLIP):
        tab.evaluate("where => { location.hash = where }", where or "#overview")
        tab.locator("[role=tabpanel]:visible").wait_for()
        if where == CLIP:
            for chart in ("pareto", "curve", "heat"):
                drawn(tab, chart)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        name = f"{where.strip('#').split('-')[0] or 'overview'}-{scheme}-{width}.png"
        tab.screenshot(path=SHOTS / name, full_page=True)
        assert (SHOTS / name).stat().st_size > 10_000


def test_a_table_scrolls_within_its_box_under_a_column_that_stays(visit):
    tab = visit(CLIP, width=360)
    box = tab.locator(f"{CLIP} .scroll").first
    assert box.evaluate("b => b.scrollWidth > b.clientWidth")
    box.evaluate("b => { b.scrollLeft = 400 }")
    name = tab.locator(f"{ROWS} th.strategy").first.bounding_box()
    assert name["x"] >= 0
    assert name["x"] < box.bounding_box()["x"] + 5


def test_hostile_labels_are_text(visit):
    tab = visit("#dg-pocket-pocket-9676097a")
    board = "#dg-pocket-pocket-9676097a"
    assert HOSTILE in first_column(tab, f"{board} tbody tr")
    for chart in ("pareto", "curve", "heat"):
        drawn(tab, chart, board)
    assert tab.locator("#family-dg b").count() == 0
    assert tab.title() == "clbench leaderboards"
    hrefs = tab.evaluate("[...document.links].map(a => a.href)")
    assert hrefs
    assert not any(href.startswith("javascript") for href in hrefs)


def test_without_scripts_every_family_is_read(visit):
    tab = visit(java_script_enabled=False)
    assert tab.locator(".panel:visible").count() == 6
    assert tab.locator("table.board:visible").count() == 6
    assert tab.locator(".figures:visible").count() == 0


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """A page with a board of 121 rows: a bound, and `lora0` to `lora119`."""
    path = tmp_path_factory.mktemp("long") / "index.html"
    write_page([document("clip", [f"lora{n}" for n in range(120)])], path)
    return path


def test_a_long_board_shows_its_first_rows_until_more_are_asked_for(visit, long):
    tab = visit(CLIP, page=long)
    count = tab.locator(f"{CLIP} .count")
    assert (tab.locator(ROWS).count(), count.inner_text()) == (50, "50 of 121 rows")
    tab.get_by_role("button", name="Show 200 more").click()
    assert (tab.locator(ROWS).count(), count.inner_text()) == (121, "121 rows")
    assert tab.get_by_role("button", name="Show 200 more").is_hidden()


def test_a_long_board_is_sorted_and_filtered_as_a_whole(visit, long):
    tab = visit(CLIP, page=long)
    head(tab, "#").locator("button").click()
    assert first_column(tab)[0] == "lora119"
    assert tab.locator(ROWS).count() == 50
    tab = visit(CLIP, page=long)
    tab.locator(CLIP).get_by_placeholder("Filter strategies").fill("lora118")
    assert first_column(tab) == ["lora118"]


def test_a_permalink_leads_to_a_row_of_a_long_board(visit, long):
    tab = visit(f"{CLIP}--lora99", page=long)
    assert tab.locator(f"{CLIP}--lora99").is_visible()
    assert first_column(tab)[-1] == "lora99"


def test_without_scripts_a_long_board_is_there_as_a_whole(visit, long):
    tab = visit(page=long, java_script_enabled=False)
    assert first_column(tab)[-1] == "lora119"
    assert tab.locator(ROWS).count() == 121


def test_printing_shows_every_row(visit, long):
    tab = visit(CLIP, page=long)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator(ROWS).count() == 121
    tab = visit(CLIP)
    tab.emulate_media(media="print")
    assert tab.locator(f"{CLIP} .tools").first.is_hidden()
    assert (
        tab.locator(f"{CLIP} .scroll").first.evaluate(
            "b => getComputedStyle(b).overflow"
        )
        == "visible"
    )
