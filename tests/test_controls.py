"""Control tokens: read, and neither predicted, drawn, shown, counted, nor met in a text."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import Fixed, codec_of, corpus_of, recurrent

from charlm.config.models import NgramConfig, UnigramConfig
from charlm.config.sampling import SamplingConfig
from charlm.config.text import TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError, VocabError
from charlm.families import FAMILIES, Job
from charlm.families import ngram as ngram_family
from charlm.families import unigram as unigram_family
from charlm.jobs import vocab as vocab_job
from charlm.jobs.settle import settle
from charlm.jobs.train import resume, train
from charlm.runs.layout import RunConfig
from charlm.runs.run import Run, load
from charlm.sampling import sample
from charlm.scoring import NATS_GRID, details, evaluate, evaluate_corpus
from charlm.text.codec import Codec, Controlled, Encoded
from charlm.text.corpus import encode
from charlm.text.vocab import EOS, UNK, Vocab
from charlm.tokenizers import TOKENIZERS
from charlm.training.batches import Buckets, Stripes
from charlm.training.devices import Machine
from charlm.training.gradient import fit
from charlm.training.journal import MemoryJournal
from charlm.training.texts import Texts

SPRING, RIVER = "<spring>", "<river>"
CODEC = codec_of("春风吹江水流").with_controls([SPRING, RIVER])  # <spring> 2, <river> 3, 春 4 …
DOCUMENTS = [Controlled("春风吹", (SPRING,)), Controlled("江水流", (RIVER,))]
IDS = [[2, 4, 5, 6, EOS], [3, 7, 8, 9, EOS]]


@pytest.fixture
def corpus(own_cache):
    return encode(lambda: DOCUMENTS * 8, CODEC, "controls")


class Dropping(MemoryJournal):
    """A journal that stops the training after every step."""

    def stop_signal(self):
        return 15


def trained(corpus, *, carried, journal=None, steps=60):
    model = recurrent(len(CODEC.vocab), dtype=torch.float32, hidden=16, embedding=8, layers=1)
    knobs = TrainingConfig(batch_size=4, window=8, learning_rate=0.03, steps=steps, validations=2, seed=3)
    kept, texts, device = MemoryJournal() if journal is None else journal, Texts(corpus, corpus, carried), "cpu"
    outcome = fit(
        model, texts, knobs, machine=Machine(torch.device(device), "float32"), journal=kept, report=lambda _: None
    )
    return model.eval(), kept, outcome


# ── what a network makes of them ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("carried", [False, True])
def test_a_sample_obeys_the_control_token_that_is_read_before_it(corpus, carried):
    model, _, _ = trained(corpus, carried=carried)
    for document in DOCUMENTS:
        prompt, _ = CODEC.prompt("", document.controls)
        drawn = sample(model, prompt, range(5), SamplingConfig(temperature=0), controls=CODEC.vocab.controls)
        assert {CODEC.decode([*prompt, *each.ids]) for each in drawn} == {document.text}
        assert CODEC.decode(drawn[0].ids) == document.text


@pytest.mark.parametrize("carried", [False, True])
def test_a_training_with_control_tokens_stopped_after_every_step_goes_on_as_if_it_never_had(corpus, carried):
    _, whole, _ = trained(corpus, carried=carried, steps=5)
    journal = Dropping()
    for _ in range(6):
        _, _, outcome = trained(corpus, carried=carried, journal=journal, steps=5)
    assert outcome.place.step == 5
    for mine, theirs in ((journal.checkpoint.tensors, whole.checkpoint.tensors), (journal.weights, whole.weights)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_a_control_token_as_target_moves_no_weight(corpus):
    model = recurrent(len(CODEC.vocab))
    batch = next(Buckets(corpus, 4, 8, 1).batches(0))
    log_probs, _ = model.score(batch.inputs, batch.targets, model.initial_state(len(batch.inputs)))
    (-log_probs[batch.mask]).sum().backward()
    some = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    by_hand = 0
    for row, document in zip(*np.unique(batch.targets.numpy(), axis=0, return_counts=True), strict=True):
        inputs = torch.tensor([[EOS, *row[:-1]]])
        said, _ = model.score(inputs, torch.from_numpy(row)[None], model.initial_state(1))
        by_hand = by_hand - said[0, 1:].sum() * int(document)
    by_hand.backward()
    assert all(torch.allclose(some[name], p.grad) for name, p in model.named_parameters())


def test_a_window_of_nothing_but_control_tokens_leaves_the_numbers_sound():
    controlled = replace(corpus_of([[2, 3, 2, 3, 2, 3, 2, 3]]), controls=2)
    controlled = replace(controlled, facts=replace(controlled.facts, tokens=0))
    texts = Texts(controlled, None, True)
    knobs = TrainingConfig(batch_size=2, window=2, steps=3)
    model, journal, told = recurrent(7, dtype=torch.float32), MemoryJournal(), []
    fit(model, texts, knobs, machine=Machine(torch.device("cpu"), "float32"), journal=journal, report=told.append)
    assert all(torch.isfinite(tensor).all() for tensor in journal.weights.values())
    assert not any(type(event).__name__ == "Notice" for event in told)


def test_a_run_takes_control_tokens_by_name(corpus, tmp_path):
    model, _, _ = trained(corpus, carried=False)
    run = Run(tmp_path, CODEC, model, RunConfig((), (), "recurrent", TextConfig(), None, TrainingConfig()), {}, {})
    assert run.sample(controls=[RIVER], temperature=0) == ["江水流"]
    assert run.sample("春", controls=[SPRING], temperature=0) == ["春风吹"]
    (right,), (wrong,) = (run.score(["春风吹"], controls=[name]) for name in (SPRING, RIVER))
    assert right.log_prob > wrong.log_prob and right.tokens == wrong.tokens == 4
    assert run.evaluate([Controlled(" 春风吹 ", (SPRING,))]).nats == pytest.approx(-right.log_prob)
    with pytest.raises(VocabError, match="no control token is called"):
        run.sample(controls=["<autumn>"])


# ── steps of training ───────────────────────────────────────────────────────────────────────────


def test_every_other_target_of_a_training_step_counts(corpus):
    for source in (Buckets(corpus, 4, 8, 1), Stripes(corpus, 4, 8, 1)):
        for batch in source.batches(0):
            is_control = (batch.targets == 2) | (batch.targets == 3)
            mask = torch.ones_like(is_control) if batch.mask is None else batch.mask
            assert torch.equal(mask, ~is_control)
            assert batch.tokens == int((~is_control).sum())
        assert batch.done == 1.0
    assert any(((batch.inputs == 2) | (batch.inputs == 3)).any() for batch in Buckets(corpus, 4, 8, 1).batches(0))


def test_shorter_documents_keep_their_padding_behind_a_control_token():
    made = replace(corpus_of([[2, 4, EOS], [3, 4, 5, 6, EOS]]), controls=2)
    (batch,) = Buckets(made, 4, 8, 1).batches(0)
    found = {tuple(row): mask for row, mask in zip(batch.targets.tolist(), batch.mask.tolist(), strict=True)}
    assert found[2, 4, EOS, 0, 0] == [False, True, True, False, False]
    assert found[3, 4, 5, 6, EOS] == [False, True, True, True, True]


# ── figures ─────────────────────────────────────────────────────────────────────────────────────


def test_the_facts_of_a_corpus_leave_control_tokens_out_and_its_ids_hold_them(corpus):
    assert corpus.ids.tolist() == [token for document in IDS * 8 for token in document]
    assert corpus.starts.tolist() == list(range(0, 81, 5))
    facts = corpus.facts
    assert (facts.documents, facts.tokens, facts.characters, facts.longest) == (16, 64, 64, 4)


@pytest.mark.parametrize("carried", [False, True])
def test_figures_are_those_worked_by_hand(corpus, carried):
    # <EOS> 1/4, the two control tokens 1/8 each, 春 1/4 and 江 1/16, all others 1/32
    model = Fixed(1 / 4, 1 / 32, 1 / 8, 1 / 8, 1 / 4, 1 / 32, 1 / 32, 1 / 16, 1 / 32, 1 / 32)
    bits = 8 * ((2 + 5 + 5 + 2) + (4 + 5 + 5 + 2))
    for score in (
        evaluate(model, CODEC, DOCUMENTS * 8, carried=carried),
        evaluate_corpus(model, corpus, carried=carried),
    ):
        assert (score.tokens, score.characters, score.unknown) == (64, 64, 0)
        assert score.nats == pytest.approx(bits * np.log(2))
        assert score.bits_per_char == pytest.approx(bits / 64)
        assert score.perplexity == pytest.approx(2 ** (bits / 64))


@pytest.mark.parametrize("carried", [False, True])
def test_figures_depend_on_the_control_tokens_that_were_read(corpus, carried):
    model, _, _ = trained(corpus, carried=False)
    wrong = [Controlled("春风吹", (RIVER,)), Controlled("江水流", (SPRING,))]
    right = evaluate(model, CODEC, DOCUMENTS, carried=carried)
    assert right.bits_per_char < evaluate(model, CODEC, wrong, carried=carried).bits_per_char - 0.5


def test_a_corpus_is_measured_as_its_text_is(corpus):
    model = recurrent(len(CODEC.vocab))
    for carried in (False, True):
        some = evaluate(model, CODEC, DOCUMENTS * 8, carried=carried)
        other = evaluate_corpus(model, corpus, carried=carried)
        assert (some.tokens, some.characters) == (other.tokens, other.characters)
        # The figures of documents lie on a grid, so that they add exactly; those of a corpus do not.
        assert some.nats == pytest.approx(other.nats, abs=len(DOCUMENTS) * 8 / NATS_GRID)


def test_details_tell_of_targets_only_and_an_impossible_control_token_costs_nothing():
    model = Fixed(1 / 4, 0, 0, 0, 1 / 4, 1 / 8, 1 / 8, 0, 0, 1 / 4)
    ((encoded, score, log_probs),) = details(model, CODEC, DOCUMENTS[:1], carried=False)
    assert encoded.targets == [4, 5, 6, EOS]
    assert log_probs.tolist() == pytest.approx([np.log(p) for p in (1 / 4, 1 / 8, 1 / 8, 1 / 4)])
    assert score.nats == pytest.approx(10 * np.log(2))


# ── sampling ────────────────────────────────────────────────────────────────────────────────────


def test_a_control_token_is_never_drawn_however_likely():
    model = Fixed(0.01, 0.01, 0.6, 0.3, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01)
    for config in (SamplingConfig(seed=5), SamplingConfig(temperature=0), SamplingConfig(top_k=1)):
        for ends in (True, False):
            drawn = sample(model, [2], range(20), config, ends=ends, controls=2)
            assert not {UNK, 2, 3} & {token for each in drawn for token in each.ids}


# ── text to ids and back ────────────────────────────────────────────────────────────────────────


def test_control_tokens_stand_first_and_spell_nothing():
    assert CODEC.encode(DOCUMENTS[0]) == Encoded(IDS[0], characters=4, unknown=[], controls=1)
    assert CODEC.encode("春", [RIVER, SPRING]) == Encoded([3, 2, 4, EOS], characters=2, unknown=[], controls=2)
    assert CODEC.line("春", [RIVER]).ids == [3, 4, EOS]
    assert CODEC.prompt("春x", [RIVER]) == ([3, 4, UNK], ["x"])
    assert CODEC.decode([3, 2, 4, UNK, EOS]) == "春□"


def test_a_text_that_spells_a_control_token_is_unknown():
    spaced = Codec(TOKENIZERS["spaced"](), CODEC.vocab, level="spaced")
    encoded = spaced.encode(f"春 {SPRING} 江")
    assert (encoded.ids, encoded.unknown, encoded.controls) == ([4, UNK, 7, EOS], [SPRING], 0)
    assert CODEC.vocab.id(SPRING) == UNK
    assert CODEC.vocab.unknown({SPRING: 3, "春": 1}).tokens == 3


def test_a_name_that_is_no_control_token_is_refused():
    for names, reason in (
        (["<autumn>"], "no control token is called '<autumn>'"),
        (["春"], "no control token is called '春'"),
        (["<EOS>"], "no control token is called '<EOS>'"),
        (SPRING, "where a list is meant"),
    ):
        with pytest.raises(VocabError, match=reason):
            CODEC.encode("春", names)
        with pytest.raises(VocabError, match=reason):
            CODEC.prompt("春", names)
        with pytest.raises(VocabError, match=reason):
            CODEC.encode(Controlled("春", names))


# ── the vocabulary and its folder ───────────────────────────────────────────────────────────────


def test_what_a_text_spelled_like_a_new_control_token_is_counted_as_unknown():
    vocab = Vocab(["<EOS>", "<UNK>", "a", "b"], [1, 2, 5, 4]).with_controls(["b", "c"])
    assert (vocab.tokens, vocab.counts) == (["<EOS>", "<UNK>", "b", "c", "a"], [1, 6, 0, 0, 5])
    assert vocab.with_controls(["d"]).control_names == ["b", "c", "d"]
    assert vocab.counter() == {"<EOS>": 1, "<UNK>": 6, "a": 5}
    assert vocab != Vocab(vocab.tokens, vocab.counts)


@pytest.mark.parametrize("names", [["<a>", "<a>"], ["<EOS>"], ["<unk>"], [" "], [""], "ab"])
def test_a_name_that_cannot_be_a_control_token_is_refused(names):
    with pytest.raises(VocabError):
        Vocab(["<EOS>", "<UNK>", "a"], [1, 0, 1]).with_controls(names)


def test_a_codec_with_control_tokens_survives_its_folder(tmp_path):
    CODEC.save(tmp_path)
    again = Codec.load(tmp_path)
    assert again.vocab == CODEC.vocab and again.vocab.control_names == [SPRING, RIVER]
    assert again.fingerprint() == CODEC.fingerprint()
    assert again.encode(DOCUMENTS[1]) == CODEC.encode(DOCUMENTS[1])
    # An older charlm refuses the folder instead of taking control tokens for words.
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {
        "format": 2,
        "level": "char",
        "reading": "lines",
        "options": {},
        "controls": 2,
    }


def test_a_codec_without_control_tokens_has_the_fingerprint_that_it_always_had():
    old = "0235658d238ec89eeff344f537eb9c55c5be41c0e204354fcbf5bb46039ccbae"
    assert codec_of("ab").fingerprint() == codec_of("ab").with_controls([]).fingerprint() == old
    plain = Codec(CODEC.tokenizer, Vocab(CODEC.vocab.tokens, CODEC.vocab.counts), level="char")
    assert plain.fingerprint() != CODEC.fingerprint()


@pytest.mark.parametrize("controls", [-1, 9, True, 1.0, "1", [1], 1 << 70])
def test_a_number_of_control_tokens_that_cannot_be_is_refused(tmp_path, controls):
    CODEC.save(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"controls": controls}))
    with pytest.raises(VocabError):
        Codec.load(tmp_path)


def test_vocabularies_of_shards_add_only_where_they_have_the_same_control_tokens(tmp_path):
    folders = []
    for name, codec in (("a", CODEC), ("b", CODEC), ("c", codec_of("春"))):
        codec.save(tmp_path / name)
        folders.append(str(tmp_path / name))
    summed = vocab_job.of_files(folders[:2], TextConfig(), note=lambda _: None).codec.vocab
    assert summed.control_names == [SPRING, RIVER]
    assert summed.counts[:4] == [2, 2, 0, 0] and summed.counts[summed.ids["春"]] == 2
    with pytest.raises(VocabError, match="so their counts do not add"):
        vocab_job.of_files([folders[0], folders[2]], TextConfig(), note=lambda _: None)


def test_a_vocabulary_with_control_tokens_serves_a_text_that_has_none(tmp_path, own_cache):
    CODEC.save(tmp_path / "vocab")
    (tmp_path / "poems.txt").write_text("春风吹\n江水流\n" * 8, "utf-8")
    small = {"hidden": 4, "embedding": 4, "layers": 1, "steps": 2, "batch_size": 2, "device": "cpu"}
    for name, knobs in (("recurrent", small), ("ngram", {"order": 2}), ("unigram", {})):
        config = settle([str(tmp_path / "poems.txt")], [str(tmp_path / "poems.txt")], model=name, knobs=knobs)
        train(config, tmp_path / name, vocab_folder=tmp_path / "vocab")
        run = load(tmp_path / name)
        assert run.codec.vocab.control_names == [SPRING, RIVER]
        assert not set(SPRING + RIVER) & set("".join(run.sample(count=9, controls=[SPRING], max_tokens=9)))
        assert run.facts["corpus"]["tokens"] == 64
    resume(tmp_path / "recurrent", {"steps": 4})


# ── families ────────────────────────────────────────────────────────────────────────────────────


def job(corpus, family) -> Job:
    texts, device = Texts(corpus, None, False), torch.device("cpu")
    return Job(
        texts, CODEC.vocab, family, TrainingConfig(), Machine(device, "float32"), MemoryJournal(), lambda _: None
    )


def test_a_unigram_counts_no_control_token(corpus):
    model = unigram_family.fresh(UnigramConfig(), CODEC.vocab, 0)
    asked = job(corpus, UnigramConfig())
    unigram_family.fit(model, asked)
    assert asked.journal.weights["counts"].tolist() == [16, 0, 0, 0, *[8] * 6]
    assert model.log_probs[2] == model.log_probs[3] == model.log_probs[UNK]


def test_an_ngram_refuses_documents_with_control_tokens(corpus):
    config = NgramConfig(order=2)
    with pytest.raises(ConfigError, match="cannot learn from documents with control tokens"):
        ngram_family.fit(ngram_family.fresh(config, CODEC.vocab, 0), job(corpus, config))


def test_weights_of_a_control_token_are_not_those_of_a_token_spelled_alike(tmp_path):
    theirs = codec_of("春<").vocab
    mine = theirs.with_controls(["<"])
    other, model = recurrent(len(theirs), seed=1), recurrent(len(mine), seed=2)
    fresh = model.embedding.weight[2].clone()
    FAMILIES["recurrent"].init_from(model, mine, other, theirs, tmp_path, lambda _: None)
    assert torch.equal(model.embedding.weight[2], fresh)
    assert torch.equal(model.embedding.weight[mine.ids["春"]], other.embedding.weight[theirs.ids["春"]])
