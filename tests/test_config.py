"""Overrides resolve to the cells that Hydra's grammar names, or to one clear line."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbench import grammar, places, schema
from clbench.config import resolve
from clbench.contract import InputError, Recipe
from clbench.options import Options
from clbench.resolved import Cell

PLUGINS = Path(__file__).parent / "plugins"
EAST = ["scenario=fake_points", "scenario.target=east"]


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(PLUGINS))


def cells(*words: str) -> list[Cell]:
    return resolve(words)[0]


def one(*words: str) -> Cell:
    (cell,) = cells(*words)
    return cell


# --- the grammar ---


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=1", (1,)),
        ("k=1e-3", (0.001,)),
        ("k=true", (True,)),
        ("k=null", (None,)),
        ("k=", ("",)),
        ("k=0,1,2", (0, 1, 2)),
        ("k=range(3)", (0, 1, 2)),
        ("k=range(0,6,step=2)", (0, 2, 4)),
        ("k=choice(2,'a,b')", (2, "a,b")),
        ("k=sort(3,1)", (1, 3)),
        ("k=[q,v]", (["q", "v"],)),
        ("k=[q],[q,v]", (["q"], ["q", "v"])),
        ("k='a,b'", ("a,b",)),
        ("k='a,b',c", ("a,b", "c")),
        ("k=../shared/data/x y", ("../shared/data/x y",)),
        ("k=a+b", ("a+b",)),
        ("k={a:1}", ({"a": 1},)),
    ],
)
def test_values_are_hydra_s(text, values):
    setting = grammar.parse(text)
    assert setting.values == values
    assert [type(v) for v in setting.values] == [type(v) for v in values]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("novalue", "is no key=value"),
        ("k=[a", "is no key=value"),
        ("k=glob(a*)", "patterns.*k=1,2"),
        ("k=interval(0,1)", "interval names no values"),
        ("k=shuffle(range(3))", "order of cells means nothing"),
        ("k=${oc.env:HOME}", "interpolates"),
        ("~k", "begins with '~'"),
        ("++k=1", r"begins with '\+\+'"),
        ("k@there=1", "names a package"),
        ("k=range(0)", "empty sweep"),
    ],
)
def test_what_has_no_meaning_here_is_refused_with_a_reason(text, message):
    with pytest.raises(InputError, match=message) as caught:
        grammar.parse(text)
    assert "\n" not in str(caught.value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])).filter(
        lambda text: "${" not in text
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(plain)
def test_what_is_written_is_read_back(value):
    read = grammar.parse(f"k={grammar.write(value)}").value
    assert read == value
    assert type(read) is type(value)


# --- keys ---


def test_defaults_fill_what_is_not_given():
    cell = one("strategy=fake_head", *EAST)
    assert cell.strategy[0].params == {"rank": 2}
    assert cell.scenario.params["steps"] == 5
    assert "seed" not in cell.scenario.params
    assert (cell.seed, cell.recipe) == (0, {})
    assert set(cell.origins.values()) == {"default", "user"}
    assert cell.origins["scenario.target"] == "user"


def test_sweeps_multiply_and_the_leftmost_varies_slowest():
    found = cells("strategy=fake_head,fake_plain", *EAST, "seed=0,1")
    names = [(cell.name, cell.seed) for cell in found]
    assert names == [
        ("fake_head", 0),
        ("fake_head", 1),
        ("fake_plain", 0),
        ("fake_plain", 1),
    ]


def test_the_last_of_two_settings_counts():
    assert one("strategy=fake_head", *EAST, "seed=1", "seed=2").seed == 2


def test_all_stands_for_a_cell_per_fold():
    found = cells("strategy=fake_head", "scenario=fake_points")
    assert [cell.scenario.params["target"] for cell in found] == [
        "east",
        "north",
        "west",
    ]
    assert found[0] == one("strategy=fake_head", *EAST)
    two = cells(
        "strategy=fake_head", "scenario=fake_points", "scenario.target=west,east"
    )
    assert [cell.scenario.params["target"] for cell in two] == ["west", "east"]


def test_a_bare_key_reaches_the_one_member_that_has_it():
    cell = one("strategy=fake_wide+fake_head", *EAST, "strategy.scale=2")
    assert cell.name == "fake_wide+fake_head"
    assert cell.strategy[0].params["scale"] == 2.0


def test_a_bare_key_of_two_members_is_refused_with_both_spellings():
    with pytest.raises(InputError) as caught:
        cells("strategy=fake_wide+fake_head", *EAST, "strategy.rank=3")
    for spelling in ("strategy.fake_wide.rank=3", "strategy.fake_head.rank=3"):
        assert spelling in str(caught.value)


def test_a_member_s_key_reaches_that_member():
    cell = one("strategy=fake_wide+fake_head", *EAST, "strategy.fake_head.rank=3")
    assert [member.params["rank"] for member in cell.strategy] == [6, 3]


def test_in_a_sweep_a_key_applies_to_those_that_have_it():
    found = cells("strategy=fake_head,fake_plain", *EAST, "strategy.rank=3,5")
    assert [(c.name, dict(c.strategy[0].params)) for c in found] == [
        ("fake_head", {"rank": 3}),
        ("fake_head", {"rank": 5}),
        ("fake_plain", {}),
    ]


def test_values_take_the_type_that_is_asked_for():
    params = (
        one(
            "strategy=fake_wide",
            *EAST,
            "strategy.scale=2",
            "strategy.roles=[q,fc1]",
            "strategy.pair=[3,4]",
            "strategy.table=a/b.csv",
            "strategy.limit=null",
        )
        .strategy[0]
        .params
    )
    assert (params["scale"], type(params["scale"])) == (2.0, float)
    assert params["roles"] == ("q", "fc1")
    assert params["pair"] == (3, 4.0)
    assert params["table"] == Path("a/b.csv")
    assert params["limit"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("strategy=fake_hed", r"unknown strategy 'fake_hed'.*'fake_head'.*list"),
        ("strategy=fake_head scenario=fake_point", r"'fake_point'.*'fake_points'"),
        ("scenario=fake_points", "strategy=NAME is missing.*fake_head"),
        ("strategy=fake_head", "scenario=NAME is missing.*fake_points"),
        ("strategy=[fake_head] scenario=fake_points", "is no name of a plugin"),
        ("strategy=3 scenario=fake_points", "strategy=3 is no name"),
        ("strategy=fake_head+fake_head scenario=fake_points", "twice"),
        ("{} sede=1", "'sede'.*'seed'"),
        ("{} seed=-1", "seed=-1 .*greater than or equal to 0"),
        ("{} seed=x", "seed=x .*integer"),
        ("{} experiment=x", r"'experiment'.*'\+experiment'"),
        ("{} strategy.rnk=1", "'strategy.rnk'.*'strategy.rank'.*show strategy=fake_he"),
        ("{} strategy.a.b.rank=1", "'a.b' is no member"),
        ("{} strategy.fake_hed.rank=1", "'fake_hed' is no member.*'fake_head'"),
        ("{} strategy.fake_head.rnk=1", "'strategy.fake_head.rank'"),
        ("{} strategy.rank=0", "strategy.rank=0 .*greater than or equal to 1"),
        ("{} strategy.rank='8'", r"strategy.rank='8' .*integer"),
        ("{} strategy.rank=true", "strategy.rank=true .*integer"),
        ("{} strategy.rank=2.5", "strategy.rank=2.5 .*default 2.*show strategy=fake_h"),
        ("{} scenario.seed=1", "write seed="),
        ("{} scenario.dataset=smal", "the nearest is 'small'"),
        ("{} scenario.stps=3", "'scenario.stps'.*'scenario.steps'.*show scenario=fake"),
        ("{} recipe.lrr=3", "'recipe.lrr'.*'recipe.lr'.*show recipe"),
        ("{} recipe.lr=0", "recipe.lr=0 .*greater than 0"),
        ("{} recipe.lr=nan", "no finite number"),
        ("{} recipe.betas=[0.9]", "item 1: field required"),
        ("{} recipe=3", "unknown key 'recipe'"),
        ("{} device=gpu", "device=gpu .*'cpu'.*show options"),
        ("{} device=cpu,cuda", "device takes one, such as device=cpu"),
        ("{} threads=0", "threads=0"),
        ("{} quiet=true", "unknown key 'quiet'"),
        ("{} plugins=nowhere", "'nowhere'|nowhere' is no folder"),
    ],
)
def test_bad_input_is_one_line(words, message):
    words = words.format("strategy=fake_head scenario=fake_points")
    with pytest.raises(InputError, match=message) as caught:
        cells(*words.split(" "))
    assert "\n" not in str(caught.value)


def test_two_that_prepare_the_model_are_refused_by_name(tmp_path):
    text = (PLUGINS / "strategies" / "fake_head.py").read_text()
    (tmp_path / "second_head.py").write_text(text)
    with pytest.raises(InputError, match="both 'fake_head' and 'second_head'"):
        cells("strategy=fake_head+second_head", *EAST, f"plugins={tmp_path}")


def test_options_are_no_part_of_a_cell(tmp_path):
    plain = one("strategy=fake_head", *EAST)
    found, options = resolve(
        ["strategy=fake_head", *EAST, "device=cpu", f"out={tmp_path}", "threads=2"]
    )
    assert found == [plain]
    assert options == Options(device="cpu", out=tmp_path, threads=2)


# --- tuned settings ---


def test_tuned_settings_lie_between_defaults_and_the_user():
    cell = one("strategy=fake_wide", *EAST)
    assert (cell.strategy[0].params["rank"], cell.recipe["lr"]) == (6, 0.02)
    assert cell.origins["strategy.rank"].startswith("tuned:")
    assert cell.origins["recipe.lr"] == cell.origins["strategy.rank"]
    cell = one("strategy=fake_wide", *EAST, "strategy.rank=4", "recipe.lr=0.3")
    assert (cell.strategy[0].params["rank"], cell.recipe["lr"]) == (4, 0.3)
    assert cell.origins["strategy.rank"] == "user"


def test_tuned_settings_need_their_circumstances_and_can_be_left():
    for word in ("scenario.dataset=large", "tuned=false"):
        cell = one("strategy=fake_wide", *EAST, word)
        assert (cell.strategy[0].params["rank"], cell.recipe) == (4, {})


def test_of_several_circumstances_the_first_that_applies_counts(tmp_path):
    source = (PLUGINS / "strategies" / "fake_head.py").read_text()
    (tmp_path / "tuned_twice.py").write_text(source)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "tuned_twice--fake_points.yaml").write_text(
        "when: {dataset: large}\nrecipe: {lr: 0.5}\nchosen_by: me\n---\n"
        "when: {dataset: [large, small]}\nrecipe: {lr: 0.25}\nchosen_by: me\n---\n"
        "recipe: {lr: 0.125}\nchosen_by: me\n"
    )
    words = ["strategy=tuned_twice", *EAST, f"plugins={tmp_path}"]
    assert one(*words).recipe == {"lr": 0.25}
    assert one(*words, "scenario.dataset=large").recipe == {"lr": 0.5}


def test_the_recipe_is_that_of_the_member_that_prepares():
    cell = one("strategy=fake_wide+fake_head", *EAST)
    assert cell.strategy[0].params["rank"] == 6
    assert cell.recipe == {}
    assert one("strategy=fake_wide+fake_plain", *EAST).recipe == {"lr": 0.02}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: {rnk: 3}\nchosen_by: me", "strategy.rnk"),
        ("recipe: {lr: -1}\nchosen_by: me", "recipe.lr=-1"),
        ("when: {datset: x}\nchosen_by: me", "when.datset"),
        ("strategy: {rank: 3}", "chosen_by"),
        ("nothing: 1\nchosen_by: me", "nothing"),
        ("{", "no file of tuned settings"),
    ],
)
def test_a_damaged_tuned_file_is_named(tmp_path, text, message, request):
    name = f"tuned_{next(iter(request.node.callspec.indices.values()))}"
    source = (PLUGINS / "strategies" / "fake_head.py").read_text()
    (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / f"{name}--fake_points.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        cells(f"strategy={name}", *EAST, f"plugins={tmp_path}")
    assert f"{name}--fake_points.yaml" in str(caught.value)


# --- a cell, there and back ---

VARIED = [
    ["strategy=fake_head", "scenario=fake_points", "seed=0,1"],
    ["strategy=fake_wide", *EAST, "tuned=false", "recipe.betas=[0.8,0.9]"],
    ["strategy=fake_wide", *EAST, "strategy.label='a, b\\'s'", "strategy.roles=[]"],
    ["strategy=fake_wide+fake_plain", *EAST, "strategy.fake_wide.mode=median"],
    ["strategy=fake_wide", *EAST, "strategy.table='x y/z'", "strategy.limit=3"],
    ["strategy=fake_wide", *EAST, "strategy.rank=4", "strategy.label='true'"],
]


@pytest.mark.parametrize("words", VARIED)
def test_a_cell_survives_plain_values_its_command_and_a_file(words, tmp_path):
    found = cells(*words)
    for cell in found:
        assert Cell.from_dict(cell.to_dict()) == cell
        program, *again = shlex.split(cell.command())
        assert (program, again[0]) == ("clbench", "run")
        assert cells(*again[1:]) == [cell]
    file = tmp_path / "saved.yaml"
    file.write_text("---\n".join(cell.to_yaml() for cell in found))
    assert cells(f"+experiment={file}") == found


def test_a_command_holds_only_what_is_not_default():
    cell = one("strategy=fake_head", "strategy.rank=2", *EAST, "scenario.steps=7")
    assert cell.command() == (
        "clbench run strategy=fake_head scenario=fake_points scenario.target=east "
        "scenario.steps=7 seed=0"
    )


def test_keys_tell_configurations_apart_and_nothing_else():
    base = one("strategy=fake_wide", *EAST, "tuned=false")
    again = one("strategy=fake_wide", *EAST, "strategy.rank=4", "tuned=false")
    assert base.key() == again.key()
    others = [
        one("strategy=fake_wide", *EAST, "tuned=false", word)
        for word in ("strategy.rank=5", "seed=1", "recipe.lr=0.1", "scenario.steps=6")
    ]
    assert len({base.key(), *(cell.key() for cell in others)}) == 5
    assert len(base.key()) == 12


def test_keys_are_the_same_in_every_process():
    code = (
        "from clbench.config import resolve;"
        "print(resolve(['strategy=fake_head','scenario=fake_points',"
        "'scenario.target=east'])[0][0].key())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == one("strategy=fake_head", *EAST).key()


# --- files ---


def test_the_command_line_lies_above_a_file(tmp_path):
    file = tmp_path / "saved.yaml"
    file.write_text(
        "strategy: {name: fake_head, rank: 7}\n"
        "scenario: {name: fake_points, target: 'east,west'}\n"
        "seed: 0,1\n"
        "recipe.lr: 1e-3\n"
    )
    found = cells(f"+experiment={file}", "seed=5")
    assert [c.scenario.params["target"] for c in found] == ["east", "west"]
    assert {(c.seed, c.strategy[0].params["rank"], c.recipe["lr"]) for c in found} == {
        (5, 7, 1e-3)
    }


def test_another_plugin_leaves_the_file_s_parameters_behind(tmp_path):
    file = tmp_path / "saved.yaml"
    file.write_text(
        "strategy: {name: fake_wide, scale: 7}\n"
        "scenario: {name: fake_points, target: east, steps: 9}\n"
    )
    cell = one(f"+experiment={file}", "strategy=fake_head")
    assert (cell.name, cell.scenario.params["steps"]) == ("fake_head", 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("[1, 2]", "holds list"),
        ("a: {", "is no YAML"),
        ("strategy: fake_head\nscenario: fake_points\nsede: 1", "'sede'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, message):
    file = tmp_path / "saved.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message):
        cells(f"+experiment={file}")


# --- schemas ---


def test_the_recipe_s_own_defaults_pass_its_schema():
    for parameter in schema.parameters(Recipe).values():
        assert parameter.check(parameter.default) == parameter.default


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("rank: int = 4", "must be a keyword"),
        ("*, rank: int", "must be a keyword with a default"),
        ("*, rank=4", "needs an annotation"),
        ("*, name: str = ''", "may be called 'name'"),
        ("*, rank: 'Unknown' = 4", "cannot be read"),
        ("**rest: int", "must be a keyword"),
    ],
)
def test_keywords_that_are_no_schema_are_refused(source, message):
    space: dict[str, type] = {}
    exec(f"class Plugin:\n    def __init__(self, {source}): ...", {}, space)
    with pytest.raises(InputError, match=message):
        schema.parameters(space["Plugin"])


def test_a_type_that_no_command_line_gives_is_refused():
    class Odd:
        def __init__(self, *, thing: slice = slice(1)) -> None: ...

    with pytest.raises(InputError, match="parameter 'thing'"):
        schema.parameters(Odd)["thing"].check(3)


def test_every_option_is_explained():
    fields = {field.name for field in dataclasses.fields(Options)}
    assert fields == set(schema.parameters(Options))
