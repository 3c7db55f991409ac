"""`charlm nbest tune`, `report` and `explain`, and `charlm score` with several runs and a file of weights."""

import json
import math
import random
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

import charlm as library
from charlm.cli.app import app
from charlm.jobs import remember
from charlm.jobs.report import by_each
from charlm.jobs.weights_file import ListsSeen, WeightsFile
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.deciding import Decision
from charlm.reranking.weighing import Formula, weigh
from commands.conftest import CORPORA

SENTENCES = [line for line in (CORPORA / "everyday.zh.txt").read_text("utf-8").splitlines() if 5 <= len(line) <= 20]


@pytest.fixture(scope="session")
def counts(tmp_path_factory) -> Path:
    """A model of counts of the sentences that the lists are made of, so that it knows which are right."""
    folder = tmp_path_factory.mktemp("counts")
    arguments = ["train", CORPORA / "everyday.zh.txt", "--model", "ngram", "--order", "3", "--run", folder / "kn3"]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    return folder / "kn3"


def lists(count: int, *, seed: int = 1, references: bool = True, scores: bool = True, start: int = 0) -> list[dict]:
    """Lists of a sentence and of damaged ones; the recogniser likes the right one best in every second list or so."""
    drawn = random.Random(seed)
    made = []
    for number in range(count):
        said = SENTENCES[(start + number) % len(SENTENCES)]
        texts = {said: None}  # in an order that is the same in every process, as a set's is not
        while len(texts) < 4:
            place = drawn.randrange(len(said))
            texts[said[:place] + drawn.choice("的一是了我不人在他有") + said[place + 1 :]] = None
        heard = sorted(texts, key=lambda text: (text != said) + drawn.gauss(0, 1.2))
        hyps = [{"text": t} | ({"scores": {"am": -2.0 * n}} if scores else {}) for n, t in enumerate(heard)]
        ref = {"ref": said} if references else {}
        made.append({"id": f"u{start + number}", **ref, "hyps": hyps, "speaker": f"s{number % 5}"})
    return made


def write(name: str, made: list[dict]) -> str:
    Path(name).write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made), "utf-8")
    return name


def tuned(charlm, run: Path, *more: object, count: int = 60, name: str = "w.toml"):
    # The damage is not in the sound, which therefore knows what is right, where there is pypinyin to hear it.
    deaf = ("--without", "sound_distance", "--without", "sound_agreement")
    ended = charlm("nbest", "tune", run, write("dev.jsonl", lists(count)), "-o", name, *deaf, *more)
    assert ended.code == 0, ended.err
    return ended


# Tuning


def test_weights_are_tuned_written_and_applied(charlm, counts):
    ended = tuned(charlm, counts, "--aim", "errors")
    told = dict(line.split("  ", 1) for line in ended.out.splitlines())
    assert {"first", "oracle", "cross-validated", "gain", "formula", "weights"} <= {name.strip() for name in told}
    content = tomllib.loads(Path("w.toml").read_text("utf-8"))
    assert content["abstains"] is False and content["weights"]["am"] == 1.0 and content["weights"]["kn3"] > 0
    assert content["tuned"]["cross_validated"] < content["tuned"]["first"]
    write("test.jsonl", lists(40, seed=2, start=60))
    ended = charlm("score", counts, "test.jsonl", "--weights", "w.toml", "--report", "r.json", "-o", "best.trn")
    assert ended.code == 0 and len(Path("best.trn").read_text("utf-8").splitlines()) == 40
    figures = json.loads(Path("r.json").read_text("utf-8"))
    assert figures["reranked_errors"] < figures["first_errors"] and figures["weights"] == "w.toml"
    assert "ordered by 1·am" in ended.err


def test_of_two_aims_the_figures_are_told_and_one_can_be_chosen(charlm, counts):
    told = dict(line.split("  ", 1) for line in tuned(charlm, counts).out.splitlines())
    assert re.fullmatch(r"the likeliest best candidates; \d+ by the fewest errors", told["aim"].strip())
    for aim, others in (("errors", "likelihood"), ("likelihood", "errors")):
        told = json.loads(tuned(charlm, counts, "--aim", aim, "--overwrite", "--json").out)
        assert told["aim"] == aim and list(told["aims"]) == [aim] and others not in told["aims"]
        assert told["cross_validated_errors"] == told["aims"][aim] < told["first_errors"]
        assert tomllib.loads(Path("w.toml").read_text("utf-8"))["tuned"]["aim"] == aim
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "x.toml", "--aim", "likely").refused(
        "aim = 'likely'", "likelihood", code=2
    )
    assert not Path("x.toml").exists()


def test_who_wanted_to_overwrite_weights_was_told_to_force_them_upon_the_lists(charlm, counts):
    tuned(charlm, counts)
    before = Path("w.toml").read_bytes()
    again = charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml")
    again.refused("exists already", "give --overwrite to overwrite it")
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml", "--force").refused("give --overwrite")
    assert Path("w.toml").read_bytes() == before


def test_what_is_common_is_taken_away_where_that_helps(charlm):
    """The right candidates are of rare characters in a known order, the wrong ones of common ones in none."""
    common = [a + b for a in "的一是不" for b in "的一是不"] * 40
    rare = [chr(place) + chr(place + 1) for place in range(0x4E10, 0x4E90, 2)]
    Path("text.txt").write_text("\n".join(common + rare) + "\n", "utf-8")
    charlm("train", "text.txt", "--valid", "text.txt", "--model", "ngram", "--order", 2, "--run", "kn2", "--quiet")
    pairs = [[one, common[number % 16]][:: 1 - 2 * (number % 2)] for number, one in enumerate(rare)]
    made = [{"id": str(n), "ref": rare[n], "hyps": [{"text": text} for text in pair]} for n, pair in enumerate(pairs)]
    tune = ("nbest", "tune", "kn2", write("dev.jsonl", made), "-o", "w.toml", "--overwrite", "--json")
    ended = charlm(*tune)
    told = json.loads(ended.out)
    assert told["taken"] == ["unigram:kn2"] and told["formula"]["unigram:kn2"] < 0, ended.err
    without = json.loads(charlm(*tune, "--without", "unigram:kn2", "--force").out)
    assert (
        without["cross_validated_errors"] > told["cross_validated_errors"] and "unigram:kn2" not in without["formula"]
    )
    assert charlm(*tune, "-q").code == 0
    by_weights = charlm("score", "dev.jsonl", "--weights", "w.toml", "--best", "-q").out.splitlines()
    assert by_weights == rare


@pytest.fixture
def rare_and_common(charlm) -> str:
    """Lists without scores but `am`, which is of no use; weights of a run whose frequencies alone count."""
    charlm("train", CORPORA / "everyday.zh.txt", "--model", "ngram", "--order", 2, "--run", "kn2", "--quiet")
    made = [{"id": str(n), "ref": "丐", "hyps": [{"text": text, "scores": {"am": -1 - (text == "丐")}}
             for text in ("的", "丐")]} for n in range(8)]  # fmt: skip
    wanted = ("--force", "--without", "kn2", "--without", "am", "--without", "first", "--with", "unigram:kn2")
    ended = charlm("nbest", "tune", "kn2", write("dev.jsonl", made), "-o", "w.toml", "--overwrite", *wanted)
    assert ended.code == 0, ended.err
    return "dev.jsonl"


def test_frequencies_alone_can_count_and_are_no_score_of_the_recogniser(charlm, rare_and_common):
    formula = tomllib.loads(Path("w.toml").read_text("utf-8"))["weights"]
    assert formula["unigram:kn2"] < 0 and not formula.get("kn2")
    assert set(charlm("score", rare_and_common, "--weights", "w.toml", "--best", "-q").out.split()) == {"丐"}
    report = json.loads(charlm("nbest", "report", rare_and_common, "--weights", "w.toml", "--json").out)
    assert report["reranked"]["errors"] == 0 and report["alone"]["errors"] == report["first"]["errors"] == 8
    explained = json.loads(charlm("nbest", "explain", rare_and_common, "--weights", "w.toml", "--id", 3, "--json").out)
    assert {"unigram:kn2"} <= {*explained["hyps"][0]["parts"]} <= {"unigram:kn2", "length"}


def test_lists_that_were_scored_before_do_not_bring_frequencies_as_a_score_of_their_own(charlm, rare_and_common):
    again = charlm("score", "kn2=kn2", rare_and_common, "--weight", "unigram:kn2=-1", "--json", "-q").out
    Path("again.jsonl").write_text(again, "utf-8")
    assert "unigram:kn2" in again
    ended = charlm("nbest", "tune", "kn2", "again.jsonl", "-o", "x.toml", "--force", "--json")
    assert "unigram:kn2" in json.loads(ended.out)["tried"]
    left = ("--without", "kn2", "--without", "am")
    assert (
        "unigram:kn2"
        not in json.loads(
            charlm("nbest", "tune", "kn2", "again.jsonl", "-o", "y.toml", "--force", "--json", *left).out
        )["tried"]
    )


def test_a_vocabulary_without_counts_has_no_frequencies(charlm, rare_and_common):
    assert charlm("run", "export", "kn2", "--to", "arpa", "-o", "kn2.arpa").code == 0
    assert charlm("run", "import", "kn2.arpa", "--run", "theirs").code == 0
    tune = ("nbest", "tune", "theirs", rare_and_common, "-o", "x.toml", "--force", "--json")
    assert not [name for name in json.loads(charlm(*tune).out)["tried"] if name.startswith("unigram:")]
    both = json.loads(
        charlm("nbest", "tune", "theirs", "kn2", rare_and_common, "-o", "z.toml", "--force", "--json").out
    )
    assert "unigram:kn2" in both["tried"]
    for run, weight in (("theirs", "unigram:lm=-1"), ("theirs", "unigram:theirs=-1"), ("a=theirs", "unigram:a=-1")):
        charlm("score", run, rare_and_common, "--weight", weight).refused("has no counts", code=2)


def test_frequencies_are_no_bounty_on_what_a_run_does_not_know(charlm, shared_run):
    """Taken away however often, they do not pay back what the run charges for an unknown token."""
    lists = '{"hyps": [{"text": "今天天气很好"}, {"text": "今天天气很靐"}]}\n'
    for weight in (-1, -1.5):
        name = f"unigram:{Path(shared_run).name}"
        ended = charlm("score", shared_run, "-", "--weight", f"{name}={weight}", "--best", "-q", stdin=lists)
        assert ended.out == "今天天气很好\n"


def test_nothing_left_to_tune_is_refused(charlm, shared_run):
    dev = write("dev.jsonl", lists(4))
    every = [word for name in ("am", "length", "first", shared_run.name) for word in ("--without", name)]
    charlm("nbest", "tune", shared_run, dev, "-o", "w.toml", "--no-trials", *every).refused("nothing", code=2)


@pytest.mark.parametrize("unknown", ["charged", "counted"])
@pytest.mark.parametrize("name", ["lm", "a"], ids=["one run", "a run with a name"])
def test_the_unigram_of_a_run_is_what_its_vocabulary_counted(charlm, shared_run, name, unknown):
    run = library.load(shared_run)
    texts = ["老师", "今天", "Ж"]
    given = f"a={shared_run}" if name == "a" else shared_run
    lists = json.dumps({"hyps": [{"text": text} for text in texts]}, ensure_ascii=False) + "\n"
    of = ("--weight", f"unigram:{name}=-1", "--lm-weight", 0, "--as-written", "--allow-unknown", "--unknown", unknown)
    found = {h["text"]: h for h in json.loads(charlm("score", given, "-", *of, "-q", stdin=lists).out)["hyps"]}
    counts = dict(zip(run.codec.vocab.tokens, run.codec.vocab.counts, strict=True))
    total = sum(counts.values()) + len(counts)
    for text in texts:
        tokens = [token if token in counts else "<UNK>" for token in text] + ["<EOS>"]
        expected = sum(math.log((counts[token] + 1) / total) for token in tokens)
        assert found[text]["scores"][f"unigram:{name}"] == pytest.approx(expected)
        assert found[text]["total"] == pytest.approx(-expected)


def test_a_margin_that_is_left_out_is_not_tuned_all_the_same(charlm, shared_run):
    """The first of two is right where it is worse by one nat, and the other where it is better by four."""
    made = []
    for number in range(24):
        gap, ref = ((1, "坐"), (4, "做"))[number % 2]
        hyps = [{"text": text, "scores": {"am": am}} for text, am in (("坐", -5 - gap), ("做", -5))]
        made.append({"id": str(number), "ref": ref, "hyps": hyps})
    tune = ("nbest", "tune", shared_run, write("dev.jsonl", made), "-o", "w.toml", "--overwrite", "--json", "--force")
    margins = [json.loads(charlm(*tune, *more).out)["margin"] for more in ((), ("--without", "first"))]
    assert margins[0] > 0 and margins[1] == 0
    charlm(*tune, "--without", "margin").refused("no score is called margin", "first", code=2)


def test_without_a_run_those_of_the_weights_are_taken(charlm, counts):
    tuned(charlm, counts)
    write("test.jsonl", lists(10, seed=2, start=60))
    alike = [charlm("score", *runs, "test.jsonl", "--weights", "w.toml", "-q").out for runs in ([counts], [])]
    assert alike[0] == alike[1]
    first = json.loads(alike[0].splitlines()[0])["hyps"][0]
    assert {"am", "kn3"} <= set(first["scores"]) and 0 < first["posterior"] <= 1


def test_tuning_again_computes_no_score(charlm, counts, own_cache):
    assert "0 remembered" in tuned(charlm, counts).err
    again = tuned(charlm, counts, "--overwrite")
    assert "scores: 0 computed" in again.err and "MB" in again.err
    told = json.loads(tuned(charlm, counts, "--overwrite", "--json").out)
    assert told["cross_validated_errors"] <= told["first_errors"] and any(told["formula"].values())


def test_scores_that_were_kept_and_damaged_are_computed_again(charlm, counts, own_cache):
    first = tuned(charlm, counts).out
    (file,) = remember.folder().iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-7], whole[:100] + b"\xff" + whole[101:], b"", b"charlmS1"):
        file.write_bytes(damaged)
        again = tuned(charlm, counts, "--overwrite")
        assert again.out == first and "0 remembered" in again.err
    assert file.read_bytes() == whole


def test_scores_that_cannot_be_kept_stop_nothing(charlm, counts, own_cache):
    own_cache.write_text("a file where a folder is wanted", "utf-8")
    assert "cannot be written" in tuned(charlm, counts).err


def test_lists_without_a_gain_make_weights_that_abstain(charlm, shared_run):
    made = lists(30)
    for one in made:  # whatever is chosen is as wrong as the first
        one["ref"] = "甲乙丙丁戊己庚辛"
    ended = charlm("nbest", "tune", shared_run, write("dev.jsonl", made), "-o", "w.toml")
    assert ended.code == 0 and "the written weights abstain (--force overrides)" in ended.err
    ended = charlm("score", shared_run, "dev.jsonl", "--weights", "w.toml", "--best")
    assert ended.out.splitlines() == [one["hyps"][0]["text"] for one in made] and "abstains" in ended.err
    charlm("nbest", "tune", shared_run, "dev.jsonl", "-o", "w.toml").refused("exists already")
    charlm("nbest", "tune", shared_run, "dev.jsonl", "-o", "w.toml", "--overwrite", "--force")
    assert tomllib.loads(Path("w.toml").read_text("utf-8"))["abstains"] is False


def test_least_expected_error_is_tuned_and_applied(charlm, counts):
    tuned(charlm, counts, "--decision", "mbr")
    assert tomllib.loads(Path("w.toml").read_text("utf-8"))["decision"] == "mbr"
    ended = charlm("nbest", "report", "dev.jsonl", "--weights", "w.toml", "--json")
    told = json.loads(ended.out)
    assert told["reranked"]["errors"] < told["first"]["errors"] and "least expected error" in told["decision"]


def test_lists_without_scores_are_ordered_by_rank(charlm, counts):
    made = write("dev.jsonl", lists(60, scores=False))
    assert charlm("nbest", "tune", counts, made, "-o", "w.toml").code == 0
    assert "rank" in tomllib.loads(Path("w.toml").read_text("utf-8"))["weights"]


def test_speakers_are_kept_together(charlm, counts):
    told = json.loads(tuned(charlm, counts, "--group", "speaker", "--folds", "9", "--json").out)
    assert len(told["folds"]) == 5 and told["group"] == "speaker"
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "v.toml", "--group", "room").refused("dev.jsonl:1", "'room'")


def test_scores_are_chosen_by_name(charlm, counts):
    tuned(charlm, counts, "--without", "length", "--with", "am*length", "--try", "rank", "--no-trials")
    content = tomllib.loads(Path("w.toml").read_text("utf-8"))
    assert "length" not in content["weights"] and "am*length" in content["weights"]
    assert set(content["tuned"]["tried"]) == {"rank"}
    for option in ("--with", "--try", "--without", "--subtract"):
        ended = charlm("nbest", "tune", counts, "dev.jsonl", "-o", "v.toml", option, "ctc")
        ended.refused("no score is called ctc", "am, ", code=2)


# Bad input


def test_lists_without_references_cannot_be_tuned_on(charlm, counts):
    write("dev.jsonl", lists(5, references=False))
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml").refused("holds no references", "--ref")
    charlm("nbest", "report", counts, "dev.jsonl").refused("holds no references", "--ref")
    assert not Path("w.toml").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.update(hyps=[]), "dev.jsonl:3: list 'u2' has no candidates"),
        (lambda one: one.pop("ref"), "dev.jsonl:3: list 'u2' has no reference"),
        (lambda one: one.update(id="u1"), "dev.jsonl:3: the id 'u1' comes again"),
        (lambda one: one["hyps"][0]["scores"].update(am=float("nan")), "dev.jsonl:3: cannot read"),
    ],
)
def test_a_list_that_does_not_fit_is_named_and_left_out_only_where_asked(charlm, counts, change, said):
    made = lists(40)
    change(made[2])
    write("dev.jsonl", made)
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml").refused(said)
    assert not Path("w.toml").exists()
    ended = charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml", "--keep-going")
    assert ended.code == 1 and said in " ".join(ended.err.split())
    assert WeightsFile.read(Path("w.toml")).tuned["lists"] == 39


def test_ids_that_the_references_lack_are_named(charlm, counts):
    write("dev.jsonl", lists(10, references=False))
    Path("ref").write_text("".join(f"u{n} {SENTENCES[n]}\n" for n in range(9)), "utf-8")
    charlm("nbest", "tune", counts, "dev.jsonl", "--ref", "ref", "-o", "w.toml").refused("no reference for 'u9'")


def test_empty_candidates_and_a_long_list_are_ordinary(charlm, counts):
    made = lists(20)
    made[0]["hyps"].append({"text": "", "scores": {"am": -30.0}})
    words = [{"text": f"{SENTENCES[0]}{n}", "scores": {"am": -n / 10}} for n in range(3000)]
    made.append({"id": "long", "ref": SENTENCES[0], "hyps": words})
    write("dev.jsonl", made)
    asked = ("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml", "-q")
    charlm(*asked).refused("the lists are in digits", code=2)
    assert charlm(*asked, "--allow-unknown").code == 0
    mbr = charlm("nbest", "tune", counts, "dev.jsonl", "-o", "v.toml", "-q", "--decision", "mbr", "--no-trials",
                 "--allow-unknown")  # fmt: skip
    assert mbr.code == 0, mbr.err
    assert charlm("nbest", "report", "dev.jsonl", "--weights", "v.toml", "-q", "--allow-unknown").code == 0


def test_weights_that_were_made_for_other_scores_are_refused_by_their_names(charlm, counts, shared_run):
    tuned(charlm, counts, "--aim", "errors")
    other = f"other={counts}"
    ended = charlm("score", other, "dev.jsonl", "--weights", "w.toml")
    ended.refused("made for other scores", "kn3 not given", "other not in the file")
    ended = charlm("score", f"kn3={shared_run}", "dev.jsonl", "--weights", "w.toml")
    ended.refused("tuned with another kn3")
    made = [{**one, "hyps": [{"text": h["text"], "scores": {"ctc": 1.0}} for h in one["hyps"]]} for one in lists(5)]
    write("ctc.jsonl", made)
    charlm("score", "ctc.jsonl", "--weights", "w.toml").refused("the lists have no am", "they have ctc")
    charlm("score", counts, "dev.jsonl", "--weights", "w.toml", "--lm-weight", 2).refused("--lm-weight", code=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "[[[", "is not TOML"),
        (lambda text: "x = 1\n", "names no format"),
        (lambda text: text.replace("format = 1", "format = 2"), "has format 2"),
        (lambda text: re.sub(r"\nam = .*", '\nam = "one"', text), "am is a str"),
        (lambda text: re.sub(r"\nam = .*", "\nam = nan", text), "the weight of am is nan"),
        (lambda text: re.sub(r"margin = .*", "margin = -1.0", text), "a margin must be"),
        (lambda text: text.replace('decision = "best"', 'decision = "mean"'), "no decision is called 'mean'"),
    ],
)
def test_a_file_of_weights_that_cannot_be_read_says_why(charlm, counts, change, said):
    tuned(charlm, counts, count=10)
    file = Path("w.toml")
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    charlm("score", counts, "dev.jsonl", "--weights", "w.toml").refused(said)


def test_a_missing_run_or_lists_are_told(charlm, counts):
    write("dev.jsonl", lists(3))
    charlm("nbest", "tune", "nowhere", "dev.jsonl", "-o", "w.toml").refused("no run directory at nowhere")
    charlm("score", "dev.jsonl").refused("a run and lists are wanted", code=2)
    charlm("score", "dev.jsonl", counts).refused("is a run, and lists are wanted last", code=2)
    charlm("score", counts, counts, "dev.jsonl").refused("two runs are called kn3", code=2)
    charlm("score", f"length={counts}", "dev.jsonl").refused("a run called length", code=2)
    charlm("nbest", "tune", counts, "dev.jsonl", "-o", "w.toml", "--folds", 1).refused("--folds", code=2)
    Path("t.txt").write_text("你好。\n", "utf-8")
    charlm("score", counts, f"b={counts}", "t.txt").refused("is read as lines of text", code=2)


def test_the_lists_of_the_tuning_are_known_again(charlm, counts):
    tuned(charlm, counts)
    assert "flatter" in charlm("score", "dev.jsonl", "--weights", "w.toml").err
    write("half.jsonl", [*lists(30), *lists(30, seed=3, start=100)])
    assert "w.toml was tuned on is among these" in charlm("nbest", "report", "half.jsonl", "--weights", "w.toml").err
    write("new.jsonl", lists(30, seed=3, start=100))
    assert "flatter" not in charlm("score", "new.jsonl", "--weights", "w.toml").err


# Several runs without weights


def test_several_runs_share_the_weight_of_the_model(charlm, counts, shared_run):
    write("dev.jsonl", lists(4))
    ended = charlm("score", counts, f"net={shared_run}", "dev.jsonl", "--lm-weight", 1.0)
    for line in ended.out.splitlines():
        for hyp in json.loads(line)["hyps"]:
            scores = hyp["scores"]
            assert hyp["total"] == pytest.approx(scores["am"] + 0.5 * scores["kn3"] + 0.5 * scores["net"])
    alone = charlm("score", counts, "dev.jsonl", "--am-weight", 0)
    assert [h["scores"]["lm"] for h in json.loads(alone.out.splitlines()[0])["hyps"]] == pytest.approx(
        sorted((h["scores"]["kn3"] for h in json.loads(ended.out.splitlines()[0])["hyps"]), reverse=True)
    )


# Reports and explanations


class Page(HTMLParser):
    """Looks at a page for what it would load, and whether its tags fit together."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag, attributes):
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_report_is_a_table_json_and_a_page_that_needs_nothing_else(charlm, counts):
    tuned(charlm, counts)
    made = lists(30, seed=2, start=60)
    made[0]["id"] = "<script>alert('&')</script>"
    write("test.jsonl", made)
    ended = charlm("nbest", "report", counts, "test.jsonl", "--weights", "w.toml", "--html", "r.html")
    assert ended.code == 0 and all(len(line) <= 80 for line in ended.out.splitlines())
    for word in ("first", "without any model", "reranked", "oracle of 2", "captured", "posterior", "gained"):
        assert word in ended.out
    text = Path("r.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    assert page.open == [] and page.loads == [] and "url(" not in text and "@import" not in text
    assert "<script" not in text and "<svg" in text
    told = json.loads(charlm("nbest", "report", "test.jsonl", "--weights", "w.toml", "--json").out)
    assert told["oracle"]["errors"] <= told["reranked"]["errors"] < told["first"]["errors"]
    assert told["alone"]["errors"] == told["first"]["errors"]  # the recogniser's order is that of its scores
    assert told["gain"]["low"] <= told["gain"]["value"] <= told["gain"]["high"]
    gained = told["gained"][0]
    assert gained["hyps"][0]["errors"] < next(h for h in gained["hyps"] if h["position"] == 0)["errors"]
    charlm("nbest", "report", "test.jsonl", "--weights", "w.toml", "--html", "r.html").refused("exists already")
    charlm("nbest", "report", "test.jsonl", "--weights", "w.toml", "--metric", "wer").refused("tuned on cer", code=2)


def test_a_report_needs_no_weights(charlm, counts):
    write("dev.jsonl", lists(10))
    told = json.loads(charlm("nbest", "report", counts, "dev.jsonl", "--metric", "wer", "--json").out)
    assert told["metric"] == "wer" and told["formula"] == {"am": 1.0, "kn3": 1.0, "length": 0.0}


def test_a_report_of_several_runs_has_a_row_for_each_as_if_it_had_the_weight_of_all(charlm, counts):
    text = CORPORA / "everyday.zh.txt"
    assert charlm("train", text, "--model", "unigram", "--vocab", counts, "--run", "one", "--quiet").code == 0
    write("test.jsonl", lists(30))
    told = json.loads(charlm("nbest", "report", counts, "one", "test.jsonl", "--json").out)
    alone = {name: json.loads(charlm("nbest", "report", run, "test.jsonl", "--json").out)["reranked"]
             for name, run in (("kn3", counts), ("one", "one"))}  # fmt: skip
    assert set(told["members"]) == {"kn3", "one"}
    assert told["members"]["kn3"]["errors"] < told["members"]["one"]["errors"]  # one knows no order of characters
    for name, found in alone.items():  # where each weighs 1, both together weigh 2, so only the tendency is the same
        assert abs(found["rate"] - told["members"][name]["rate"]) < 0.03
    out = charlm("nbest", "report", counts, "one", "test.jsonl").out
    assert "kn3 alone" in out and "one alone" in out and all(len(line) <= 80 for line in out.splitlines())
    assert "alone" not in charlm("nbest", "report", counts, "test.jsonl").out


def test_each_run_chooses_by_the_recognisers_scores_and_the_weight_of_all_runs():
    heard = Utterance("u", [Hypothesis("甲", {"am": -2.0}), Hypothesis("乙", {"am": 0.0})])
    scores = [{"a": -1.0, "b": -3.0}, {"a": -2.2, "b": -1.0}]
    formula = Formula.exactly({"am": 1.0, "a": 1.0, "b": 0.7})
    ranked = weigh(heard, scores, formula, ("a", "b"))
    assert by_each(ranked, formula, ("a", "b")) == {"a": 0, "b": 1}  # a with its own weight would choose the other
    assert by_each(ranked, Formula.exactly({"am": 1.0, "a": 1.0, "b": 0.0}), ("a", "b")) == {}


def test_a_list_is_explained_candidate_by_candidate_and_token_by_token(charlm, counts):
    tuned(charlm, counts)
    ended = charlm("nbest", "explain", "dev.jsonl", "--weights", "w.toml", "--id", "u3")
    assert ended.code == 0
    for word in ("reference", "total", "posterior", "kn3", "said", "surprise in nats", "<EOS>"):
        assert word in ended.out
    told = json.loads(charlm("nbest", "explain", "dev.jsonl", "--weights", "w.toml", "--id", "u3", "--json").out)
    for hyp in told["hyps"]:
        read = hyp["surprisal"]["kn3"]
        assert "".join(token for token, _ in read[:-1]) == hyp["text"]
        assert -sum(nats for _, nats in read) == pytest.approx(
            hyp["parts"]["kn3"], abs=12
        )  # unknown tokens are charged
        assert sum(bool(kind) for kind, _, _ in hyp["alignment"]) == hyp["errors"]
    charlm("nbest", "explain", counts, "dev.jsonl", "--id", "u300").refused("has no list 'u300'", "u0")


def test_what_stands_below_each_other_takes_as_many_cells(charlm, counts):
    from rich.cells import cell_len

    from charlm.cli.explain import alignment, folded
    from charlm.reranking.comparing import aligned

    above, below, kinds = alignment(aligned("我用OK说", "我用的说"), "said", "1", spaced=False)
    assert cell_len(above) == cell_len(below) and kinds.strip().startswith(("S", "D"))
    long = "故宫开门二小时卖光" * 12
    lines = list(folded(long, "  "))
    assert all(cell_len(line) <= 80 for line in lines) and "".join(line.strip() for line in lines) == long


# The file


def test_a_file_of_weights_gives_back_what_was_written(tmp_path):
    formula = Formula.exactly({"am": 1.0, "am*length": -0.25, '词"\x7f': 1e-9})
    made = WeightsFile(
        Decision(formula, 0.5, "mbr", 2.0, risk_temperature=3.0),
        "mer",
        "counted",
        {},
        {"file": "d\\e.v", "gain": 1e-05},
    )
    made.write(tmp_path / "w.toml")
    read = WeightsFile.read(tmp_path / "w.toml")
    assert dict(read.decision.formula) == dict(formula) and read.tuned == made.tuned
    assert read.decision == made.decision
    assert (read.metric, read.unknown, read.decision.abstains) == ("mer", "counted", False)


def test_lists_are_known_again_in_any_order():
    made = [Utterance(number, (Hypothesis(f"text {number}"),)) for number in range(200)]
    one, other = ListsSeen(), ListsSeen()
    for utterance in made:
        one.add(utterance)
    for utterance in reversed(made):
        other.add(utterance)
    assert one.digest == other.digest and one.least == other.least and len(one.least) == 64
    third = ListsSeen(frozenset(one.least))
    for utterance in made[:100]:
        third.add(utterance)
    assert third.digest != one.digest and 15 < len(third.met) < 50
