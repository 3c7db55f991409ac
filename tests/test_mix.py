"""Runs become a mixture: weights that are best on a text, kept with whole copies of the members."""

import dataclasses
import itertools
import os
import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import small  # noqa: F401  one thread
import torch
from commands.conftest import CORPORA

import charlm
from charlm import jsonfiles, scoring, storage, tensorfiles
from charlm.config.models import MixtureConfig
from charlm.config.text import TextConfig
from charlm.errors import CharlmError, ConfigError, RunError, StorageError, TextError
from charlm.jobs import mix as mix_job
from charlm.jobs import sharpen
from charlm.jobs.evaluate import Evaluation
from charlm.jobs.rescore import Scorer
from charlm.models.caches import NeuralCache, UnigramCache
from charlm.models.ngram import Ngram
from charlm.models.recurrent import Recurrent
from charlm.models.tempered import Tempered
from charlm.nbest import Hypothesis, Utterance
from charlm.runs.checking import check as check_run
from charlm.runs.layout import read_facts
from charlm.runs.run import load as load_run
from charlm.text.vocab import EOS

LINES = (CORPORA / "village.en.txt").read_text("utf-8").splitlines()
NETWORK = {"hidden": 24, "embedding": 12, "layers": 1, "batch_size": 4, "window": 32, "learning_rate": 0.015}
FILES = ("run.json", "config.json", "tokenizer.json", "vocab.tsv", "model.safetensors")
KINDS = {
    "by context": {},
    "for all contexts": {"by_context": False},
    "with a unigram cache": {"cache": 30},
    "with a neural cache": {"neural_cache": 30},
    "tempered": {"temper": True},
    "with all": {"temper": True, "cache": 9, "neural_cache": 20},
    "with both": {"cache": 9, "cache_decay": 0.5, "neural_cache": 7, "by_context": False},
}


@dataclass
class Place:
    """A folder with texts and runs, to be looked at only."""

    folder: Path
    notes: list[str] = field(default_factory=list)

    def text(self, name: str, lines: list[str]) -> str:
        path = self.folder / f"{name}.txt"
        path.write_text("".join(line + "\n" for line in lines), "utf-8")
        return str(path)

    def train(self, name: str, text: str, **knobs) -> Path:
        charlm.train(text, self.folder / name, valid=self.text("valid", LINES[-9:]), **knobs)
        return self.folder / name

    def mix(self, members, tune, output, *, context=None, **knobs) -> mix_job.Tuned:
        job = Evaluation(tune, TextConfig(), part=None, context=context, note=self.notes.append)
        return mix_job.mix(members, output, MixtureConfig(**knobs), job, command="charlm run mix")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("mix"))


@pytest.fixture(scope="module")
def learned(place):
    return place.text("learned", LINES[:90])


@pytest.fixture(scope="module")
def tune(place):
    return place.text("tune", LINES[90:115])


@pytest.fixture(scope="module")
def network(place, learned):
    return place.train("network", learned, steps=250, **NETWORK)


@pytest.fixture(scope="module")
def counts(place, learned):
    return place.train("counts", learned, model="ngram", order=2)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def mixtures(place, network, counts, tune):
    """Each kind of mixture by its name, made when it is first asked for: path and what tuning found."""
    made: dict[str, tuple[Path, mix_job.Tuned]] = {}

    def get(kind: str) -> tuple[Path, mix_job.Tuned]:
        if kind not in made:
            path = place.folder / kind.replace(" ", "-")
            made[kind] = path, place.mix([network, counts], tune, path, **KINDS[kind])
        return made[kind]

    return get


@pytest.fixture(scope="module")
def nested(place, mixtures, counts, tune):
    """A mixture of a mixture."""
    path = place.folder / "nested"
    return path, place.mix([mixtures("with a unigram cache")[0], counts], tune, path)


def nats_of(run, text):
    score = run.evaluate(Path(text).read_text("utf-8").splitlines())
    return score.nats / score.tokens


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ── what tuning finds ───────────────────────────────────────────────────────────────────────────


def test_a_mixture_is_at_least_as_good_as_its_best_member_on_the_text_it_was_tuned_on(mixtures, kind):
    _, tuned = mixtures(kind)
    assert tuned.nats <= min(tuned.alone) + 1e-6
    assert tuned.nats <= tuned.at_first


def test_the_figures_of_tuning_are_those_of_the_mixture_and_of_the_runs(mixtures, kind, network, counts, tune):
    path, tuned = mixtures(kind)
    assert nats_of(load_run(path), tune) == pytest.approx(tuned.nats, rel=1e-6)
    if KINDS[kind].keys().isdisjoint({"neural_cache", "temper"}):
        assert tuned.alone[0] == pytest.approx(nats_of(load_run(network), tune), rel=1e-6)
    assert tuned.alone[1] == pytest.approx(nats_of(load_run(counts), tune), rel=1e-6)
    assert tuned.tokens == sum(len(line) + 1 for line in LINES[90:115])


def test_a_mixture_is_better_than_both_on_a_text_that_is_new_to_all(place, mixtures, network, counts):
    new = place.text("new", LINES[115:])
    mixed, *alone = (nats_of(load_run(path), new) for path in (mixtures("by context")[0], network, counts))
    assert mixed < min(alone) - 0.02


def test_weights_for_classes_of_contexts_are_at_least_as_good_as_common_ones(mixtures):
    assert mixtures("by context")[1].nats < mixtures("for all contexts")[1].nats
    assert len(mixtures("for all contexts")[1].weights) == 1
    assert len(mixtures("by context")[1].weights) == 1 + 6  # none known, and six kinds of known ones


def test_weights_are_probabilities_and_are_kept_as_they_were_found(mixtures, kind):
    path, tuned = mixtures(kind)
    assert (tuned.weights >= 0).all() and tuned.weights.sum(1) == pytest.approx(1, abs=1e-9)
    assert sum(tuned.shares) == pytest.approx(1) and len(tuned.shares) == len(tuned.members) == len(tuned.alone)
    assert load_run(path).model.weights.numpy() == pytest.approx(tuned.weights, abs=1e-12)
    assert tensorfiles.read_facts(path / "model.safetensors")["codec"] == load_run(path).codec.fingerprint()


def test_a_share_is_the_mean_weight_over_the_tokens_of_the_text(mixtures, tune):
    path, tuned = mixtures("by context")
    run = load_run(path)
    guide = run.model.members[1]
    rows = []
    for line in Path(tune).read_text("utf-8").splitlines():
        read = torch.tensor([[EOS, *run.codec.encode(line).ids[:-1]]])
        rows.append(run.model.weights[guide.classes(read, guide.initial_state(1))[0]])
    assert torch.cat(rows).mean(0).tolist() == pytest.approx(tuned.shares)


def test_a_unigram_cache_is_one_member_more(mixtures):
    path, tuned = mixtures("with both")
    assert tuned.members == ["1-network", "2-counts", "cache"]
    *_, cache = load_run(path).model.members
    assert isinstance(cache, UnigramCache) and (cache.window, cache.decay) == (9, 0.5)


def test_a_neural_cache_is_within_the_recurrent_member_and_its_knobs_are_tuned(place, mixtures):
    path, tuned = mixtures("with a neural cache")
    cached, plain = load_run(path).model.members
    assert isinstance(cached, NeuralCache) and isinstance(cached.model, Recurrent) and isinstance(plain, Ngram)
    assert cached.window == 30 and cached.theta in sharpen.THETAS and 0 < cached.weight < 1
    assert f"network: neural cache with theta {cached.theta:g} and weight {cached.weight:.3f}" in place.notes
    # Its knobs were the best ones on this text, so it is no worse than the network without it.
    assert tuned.alone[0] <= mixtures("by context")[1].alone[0] + 1e-5


def test_a_tempered_member_has_the_temperature_that_is_best_on_the_text(place, mixtures, network, tune):
    path, tuned = mixtures("tempered")
    member, counts = load_run(path).model.members
    assert isinstance(member, Tempered) and isinstance(member.model, Recurrent) and isinstance(counts, Ngram)
    assert any(note.startswith(f"network: temperature {member.temperature:.3f}, perplexity ") for note in place.notes)
    told = read_facts(path)["members"]
    assert [each["temperature"] for each in told] == [member.temperature, 1.0]

    def nats(temperature: float) -> float:
        run = load_run(network)
        return nats_of(dataclasses.replace(run, model=Tempered(run.model, temperature)), tune)

    assert tuned.alone[0] == pytest.approx(nats(member.temperature), rel=1e-6)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert nats(member.temperature * factor) > tuned.alone[0]
    assert nats(1.0) > tuned.alone[0]


@pytest.mark.parametrize("carried", [False, True], ids=["lines", "carried"])
def test_a_temperature_is_found_after_one_reading_of_the_text(carried, network, monkeypatch):
    run = load_run(network)
    ids = [run.codec.encode(line).ids for line in LINES[90:115]]
    felt, heard = Recurrent.felt, []
    monkeypatch.setattr(
        Recurrent, "felt", lambda self, inputs, state: (heard.append(inputs.tolist()), felt(self, inputs, state))[1]
    )
    temperature, before, after, _ = sharpen.tune_temperature(run.model, ids, carried)
    tuning = heard.copy()
    heard.clear()
    expected = {
        degree: -sharpen.read_by(Tempered(run.model, degree), ids, carried).mean() for degree in (1.0, temperature)
    }
    assert tuning + tuning == heard
    assert (before, after) == pytest.approx((expected[1.0], expected[temperature]), rel=1e-6)


def test_a_cache_is_around_what_was_tempered(mixtures):
    cached, *_ = load_run(mixtures("with all")[0]).model.members
    assert isinstance(cached, NeuralCache) and isinstance(cached.model, Tempered)
    assert cached.model.temperature == load_run(mixtures("tempered")[0]).model.members[0].temperature


def test_one_run_can_be_tempered_alone(place, network, tune, tmp_path):
    before = len(place.notes)
    tuned = place.mix([network], tune, tmp_path / "tempered", temper=True)
    assert not any("no mixture" in note for note in place.notes[before:])
    assert nats_of(load_run(tmp_path / "tempered"), tune) == pytest.approx(tuned.nats, rel=1e-6)
    assert tuned.nats < nats_of(load_run(network), tune)


def test_a_perplexity_of_the_first_part_of_a_text_is_told_as_one_of_it(place, network, tune, tmp_path, monkeypatch):
    monkeypatch.setattr(sharpen, "TUNED_TOKENS", 40)
    before = len(place.notes)
    place.mix([network], tune, tmp_path / "of-a-part", temper=True)
    place.mix([network], place.text("brief", [LINES[90][:30]]), tmp_path / "of-all", temper=True)
    part, whole = (note for note in place.notes[before:] if "temperature" in note)
    assert part.endswith(" on its first 40 tokens") and not whole.endswith("tokens")


def test_counts_are_not_tempered_and_it_is_told(place, counts, tune, tmp_path):
    place.mix([counts], tune, tmp_path / "counts", temper=True)
    assert place.notes[-2] == "--temper is for networks, and none is among the runs"
    assert isinstance(load_run(tmp_path / "counts").model.members[0], Ngram)


def test_a_mixture_of_before_there_were_temperatures_is_read_and_damaged_ones_are_refused(mixtures, tmp_path):
    path = Path(shutil.copytree(mixtures("tempered")[0], tmp_path / "mix"))
    tensors, facts = tensorfiles.read(path / "model.safetensors")
    for damaged in (torch.tensor([1.0, -1.0]), torch.ones(3), torch.tensor(1.0)):
        tensorfiles.write(path / "model.safetensors", {**tensors, "temperatures": damaged}, facts)
        with pytest.raises(RunError):
            load_run(path)
    del tensors["temperatures"]
    tensorfiles.write(path / "model.safetensors", tensors, facts)
    assert isinstance(load_run(path).model.members[0], Recurrent)


def test_a_neural_cache_learns_a_text_that_repeats_itself(place, network, tmp_path):
    repeating = place.text("repeating", [LINES[100]] * 8)
    plain, cached = (
        place.mix([network], repeating, tmp_path / str(window), neural_cache=window, context="carried")
        for window in (0, 200)
    )
    assert cached.nats < plain.nats - 0.02
    run = load_run(tmp_path / "200")
    score = scoring.evaluate(run.model, run.codec, [LINES[100]] * 8, carried=True)
    assert score.nats / score.tokens == pytest.approx(cached.nats, rel=1e-5)


def test_the_members_of_a_stream_read_it_as_one_text(place, learned, tune, tmp_path):
    members = [
        place.train("stream-counts", learned, model="ngram", order=4, reading="stream"),
        place.train("stream-unigram", learned, model="unigram", reading="stream"),
    ]
    tuned = place.mix(members, tune, tmp_path / "mix", cache=50)
    assert tuned.tokens == len(Path(tune).read_text("utf-8"))
    assert tuned.nats <= min(tuned.alone) + 1e-6
    assert load_run(tmp_path / "mix").codec.reading == "stream"


def test_the_context_may_be_another_than_in_training(place, network, counts, tune, tmp_path):
    lines = place.mix([network, counts], tune, tmp_path / "line", context="line")
    carried = place.mix([network, counts], tune, tmp_path / "carried", context="carried")
    assert lines.alone != pytest.approx(carried.alone, rel=1e-4)
    assert not load_run(tmp_path / "carried").carried  # the run goes on as its members were trained


def test_one_member_alone_is_that_member(place, counts, tune, tmp_path):
    tuned = place.mix([counts], tune, tmp_path / "mix")
    assert tuned.weights == pytest.approx(1) and tuned.nats == pytest.approx(tuned.alone[0])
    texts = ["the river", ""]
    found, expected = (load_run(path).score(texts) for path in (tmp_path / "mix", counts))
    assert [s.log_prob for s in found] == pytest.approx([s.log_prob for s in expected], rel=1e-6)


def test_a_run_mixed_with_itself_stays_what_it_is(place, counts, tune, tmp_path):
    tuned = place.mix([counts, counts], tune, tmp_path / "mix")
    assert tuned.members == ["1-counts", "2-counts"] and tuned.shares == pytest.approx([0.5, 0.5])
    assert tuned.nats == pytest.approx(tuned.alone[0])


def test_more_than_nine_members_keep_their_own_weights(place, network, counts, tune, tmp_path):
    tuned = place.mix([counts, network, *[counts] * 9], tune, tmp_path / "mix", by_context=False)
    assert tuned.members[1] == "2-network" and tuned.members[10] == "11-counts"
    run = load_run(tmp_path / "mix")
    assert [type(member) for member in run.model.members] == [Ngram, Recurrent, *[Ngram] * 9]
    assert nats_of(run, tune) == pytest.approx(tuned.nats, rel=1e-6)


# ── what is kept ────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_a_mixture_holds_its_members_whole(mixtures, network, counts):
    path, tuned = mixtures("by context")
    assert names(path) == ["config.json", "members", "model.safetensors", "run.json", "tokenizer.json", "vocab.tsv"]
    assert names(path / "members") == ["1-network", "2-counts"] == tuned.members
    assert (network / "resume").exists() and not (path / "members" / "1-network" / "resume").exists()
    facts = read_facts(path)
    for told, member in zip(facts["members"], (network, counts), strict=True):
        copy = path / "members" / told["name"]
        assert told["from"] == str(member)
        assert set(told["hashes"]) == set(FILES)
        for file, digest in told["hashes"].items():
            assert (copy / file).read_bytes() == (member / file).read_bytes()
            assert digest == storage.sha256_of(member / file)
    assert [told["model"] for told in facts["members"]] == ["recurrent", "ngram"]
    assert facts["tuned"]["weights"] == dict(zip(tuned.members, tuned.shares, strict=True))
    assert facts["parameters"] == read_facts(network)["parameters"]


def test_a_mixture_can_be_moved_and_needs_its_members_no_more(place, network, counts, tune, tmp_path):
    members = [Path(shutil.copytree(path, tmp_path / path.name)) for path in (network, counts)]
    place.mix(members, tune, tmp_path / "mix", cache=5)
    expected = load_run(tmp_path / "mix").score(["the river"])[0].log_prob
    for path in members:
        shutil.rmtree(path)
    moved = (tmp_path / "mix").rename(tmp_path / "elsewhere")
    run = load_run(moved)
    assert run.score(["the river"])[0].log_prob == expected
    assert run.sample("the ", count=2, max_tokens=5) == run.sample("the ", count=2, max_tokens=5)
    assert all(wrong is None for _, wrong in check_run(moved))


def test_a_member_with_pictures_and_hidden_files_is_copied_without_them(place, counts, tune, tmp_path):
    member = Path(shutil.copytree(counts, tmp_path / "member"))
    for name in ("curve.png", ".unfinished.tmp"):
        (member / name).write_bytes(b"x")
    place.mix([member], tune, tmp_path / "mix")
    assert {*names(tmp_path / "mix" / "members" / "1-member"), "resume"} == set(names(counts))


def test_a_mixture_of_a_mixture_has_all_of_it_inside(nested, mixtures, counts, tune):
    path, tuned = nested
    assert names(path / "members") == ["1-with-a-unigram-cache", "2-counts"]
    assert names(path / "members" / "1-with-a-unigram-cache" / "members") == ["1-network", "2-counts"]
    run = load_run(path)
    assert nats_of(run, tune) == pytest.approx(tuned.nats, rel=1e-6)
    inner = nats_of(load_run(mixtures("with a unigram cache")[0]), tune)
    assert tuned.alone == pytest.approx([inner, nats_of(load_run(counts), tune)], rel=1e-6)
    assert [name for name, _ in run.parts()] == tuned.members


def test_the_parts_of_a_mixture_are_runs_of_their_own(mixtures, network):
    run = load_run(mixtures("with a unigram cache")[0])
    parts = dict(run.parts())
    assert list(parts) == ["1-network", "2-counts", "cache"]
    texts = ["the river", "a Ω"]
    found, expected = (each.score(texts) for each in (parts["1-network"], load_run(network)))
    assert [s.log_prob for s in found] == pytest.approx([s.log_prob for s in expected], rel=1e-6)
    assert load_run(network).parts() == []


# ── what a loaded mixture promises ──────────────────────────────────────────────────────────────


@pytest.fixture(params=[*KINDS, "nested"])
def run(request, mixtures, nested):
    return load_run(nested[0] if request.param == "nested" else mixtures(request.param)[0])


def test_its_probabilities_sum_to_one_after_every_prefix(run):
    model = run.model
    for prefix in ("", "t", "the the the ", "The river Ω bend.", LINES[3]):
        state = model.initial_state(1)
        for token in [EOS, *run.codec.prompt(prefix)[0]]:
            log_probs, state = model.step(torch.tensor([token]), state)
        assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_a_text_scores_the_sum_of_its_steps(run):
    for text in ("the river Ω and the river", LINES[100], ""):
        ids = run.codec.encode(text).ids
        state, steps = run.model.initial_state(1), []
        for now, following in itertools.pairwise([EOS, *ids]):
            log_probs, state = run.model.step(torch.tensor([now]), state)
            steps.append(log_probs[0, following].item())
        (found,) = scoring.log_probs_of_lines(run.model, [ids])
        assert found == pytest.approx(steps, abs=2e-5)
        assert run.score([text])[0].log_prob == pytest.approx(sum(steps), abs=1e-4)


def test_it_reranks_lists_and_travels_to_workers(mixtures):
    path, _ = mixtures("with both")
    texts = ("the river runs to the sea", "teh rivre rnus ot hte sae")
    lists = [Utterance("1", tuple(Hypothesis(text) for text in reversed(texts)))]
    scorer = Scorer(path)
    (first,) = scorer(lists)
    (second,) = pickle.loads(pickle.dumps(scorer))(lists)
    assert [h.text for h in first.hypotheses] == list(texts)
    assert first == second
    run = load_run(path)
    scores = [score.charged for score in run.score(map(run.habitual, texts))]
    assert [h.scores["lm"] for h in first.hypotheses] == pytest.approx(scores, rel=1e-6)


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


def changed(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    return path


def problems(path):
    return {what: wrong for what, wrong in check_run(path) if wrong is not None}


@pytest.mark.parametrize("member", ["1-network", "2-counts"])
def test_a_changed_member_is_found(mixtures, tmp_path, member):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    assert problems(path) == {}
    changed(path / "members" / member / "model.safetensors")
    ((what, wrong),) = problems(path).items()
    assert what.startswith("members") and f"{member}: model.safetensors is not what was mixed" in wrong


def test_a_changed_member_of_a_member_is_found(nested, tmp_path):
    path = Path(shutil.copytree(nested[0], tmp_path / "mix"))
    assert problems(path) == {}
    changed(path / "members" / "1-with-a-unigram-cache" / "members" / "2-counts" / "model.safetensors")
    assert "model.safetensors" in str(problems(path))


def test_a_member_that_is_missing_is_missed(mixtures, tmp_path):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    shutil.rmtree(path / "members" / "1-network")
    with pytest.raises(RunError, match="not those of the 1 members"):
        load_run(path)
    assert len(problems(path)) == 2
    shutil.rmtree(path / "members")
    with pytest.raises(RunError, match="not those of the 0 members"):
        load_run(path)


def test_files_that_a_file_manager_leaves_among_the_members_do_no_harm(mixtures, tmp_path):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    (path / "members" / ".DS_Store").write_bytes(b"x")
    assert load_run(path).model.vocab_size == load_run(mixtures("by context")[0]).model.vocab_size


def test_a_member_of_another_vocabulary_is_noticed(place, mixtures, tune, tmp_path):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    foreign = place.train("foreign", tune, model="ngram", order=3)
    shutil.copy(foreign / "model.safetensors", path / "members" / "2-counts" / "model.safetensors")
    with pytest.raises(RunError, match="another vocabulary"):
        load_run(path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "[" * 100_000, "{}", '{"model": 1}', '{"model": "x"}', '{"model": "ngram"}', '{"model": "x", "x": {}}']
    + [f'{{"model": "ngram", "ngram": {page}}}' for page in ("[1]", "null", '"order"', '{"order": "x"}')],
)
def test_a_member_with_a_damaged_config_is_refused(mixtures, tmp_path, content):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    (path / "members" / "2-counts" / "config.json").write_text(content, "utf-8")
    with pytest.raises(RunError, match="2-counts"):
        load_run(path)


@pytest.mark.parametrize("members", [None, ["x"], [{"name": 1}], [{"name": "1-network", "hashes": None}], 7])
def test_an_edited_list_of_members_is_no_bug_of_the_check(mixtures, tmp_path, members):
    path = Path(shutil.copytree(mixtures("by context")[0], tmp_path / "mix"))
    jsonfiles.write(path / "run.json", {**read_facts(path), "members": members})
    assert problems(path)


@pytest.mark.parametrize("knob", ["cache", "by_context", "neural_cache"])
def test_an_edited_config_is_refused_or_does_no_harm(mixtures, tmp_path, knob):
    path = Path(shutil.copytree(mixtures("with both")[0], tmp_path / "mix"))
    text = (path / "config.json").read_text("utf-8")
    value = {"cache": ("9", "0"), "by_context": ("false", "true"), "neural_cache": ("7", "-7")}[knob]
    assert f'"{knob}": {value[0]}' in text
    (path / "config.json").write_text(text.replace(f'"{knob}": {value[0]}', f'"{knob}": {value[1]}'), "utf-8")
    with pytest.raises(RunError):
        load_run(path)


# ── what does not go together ───────────────────────────────────────────────────────────────────


def test_runs_that_do_not_go_together_are_refused_with_a_remedy(place, network, counts, learned, tune, tmp_path):
    foreign = place.train("other-tokens", tune, model="ngram", order=2)
    carried = place.train("carried-counts", learned, model="ngram", order=2, context="carried")
    for members, words, remedy in [
        ([network, foreign], "different vocabularies", f"--vocab {network}"),
        ([counts, network, carried], "read on from line to line", "same --context"),
    ]:
        with pytest.raises(ConfigError, match=words) as caught:
            place.mix(members, tune, tmp_path / "mix")
        assert remedy in caught.value.hint
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"), [("", "holds no text"), ("\n \n", "holds no text"), (None, "no such file")]
)
def test_without_a_text_to_tune_on_nothing_is_made(place, network, counts, tmp_path, content, words):
    if content is not None:
        (tmp_path / "t.txt").write_text(content, "utf-8")
    before = names(tmp_path)
    with pytest.raises(TextError, match=words):
        place.mix([network, counts], str(tmp_path / "t.txt"), tmp_path / "mix")
    assert names(tmp_path) == before


def test_what_exists_is_never_overwritten_and_what_is_no_run_is_refused(place, network, tune, tmp_path):
    (tmp_path / "mix").mkdir()
    with pytest.raises(RunError, match="exists already"):
        place.mix([network], tune, tmp_path / "mix")
    for other in (tmp_path / "none", tmp_path / "mix", Path(tune)):
        with pytest.raises(RunError):
            place.mix([network, other], tune, tmp_path / "new")
    assert names(tmp_path) == ["mix"] and names(tmp_path / "mix") == []


@pytest.mark.parametrize("what", ["copytree", "fsync", "write"])
def test_a_disk_that_refuses_leaves_nothing(place, network, counts, tune, tmp_path, monkeypatch, what):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    owner = {"copytree": shutil, "fsync": os, "write": mix_job.tensorfiles}[what]
    with monkeypatch.context() as patch:
        patch.setattr(owner, what, refuse)
        with pytest.raises(StorageError, match="No space left on device"):
            place.mix([network, counts], tune, tmp_path / "mix")
    assert names(tmp_path) == []


def test_stopped_while_it_writes_nothing_is_left(place, network, counts, tune, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", stop)
    with pytest.raises(KeyboardInterrupt):
        place.mix([network, counts], tune, tmp_path / "mix")
    assert names(tmp_path) == []


def test_a_text_of_which_no_member_holds_anything_possible_is_refused(place, tmp_path):
    # a begins every line, b follows it, and then the line ends: of "bba" nothing is possible.
    text = place.text("ab", ["ab", "ab"])
    ratios = place.train("ratios", text, model="ngram", order=2, smoothing="ml")
    assert load_run(ratios).score(["bba"])[0].log_prob == -float("inf")
    with pytest.raises(CharlmError):
        place.mix([ratios, ratios], place.text("bba", ["bba"]), tmp_path / "mix")
    assert names(tmp_path) == []


def test_tokens_that_no_member_holds_possible_are_not_passed_over_in_silence(place, tmp_path):
    text = place.text("ab", ["ab", "ab"])
    ratios = place.train("other-ratios", text, model="ngram", order=2, smoothing="ml")
    place.notes.clear()
    tuned = place.mix([ratios, ratios], place.text("abb", ["ab", "abb"]), tmp_path / "mix")
    # Evaluated, the mixture is infinitely surprised; a finite figure needs a word about what it leaves out.
    assert tuned.nats == float("inf") or any("possible" in note for note in place.notes)
