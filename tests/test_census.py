import pytest
from tiny import LINES, SENTENCES

from charlm.config.text import TextConfig
from charlm.errors import TextError, VocabError
from charlm.jobs import vocab as vocab_job
from charlm.text import census
from charlm.text.census import Census, script_of
from charlm.text.survey import Survey
from charlm.text.vocab import UNK, Loss


@pytest.fixture
def poems(tmp_path):
    path = tmp_path / "poems.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return str(path)


def census_of(*sources: str, shard=(1, 1), notes=None, **knobs) -> Census:
    said: list[str] = [] if notes is None else notes
    return vocab_job.of_files(list(sources), TextConfig(**knobs), shard=shard, note=said.append)


def saved(made: Census, folder) -> str:
    made.codec.save(folder)
    return str(folder)


# ── one text ────────────────────────────────────────────────────────────────────────────────────


def test_a_text_gives_its_vocabulary_by_frequency(poems):
    made = census_of(poems)
    assert made.codec.vocab.tokens[:6] == ["<EOS>", "<UNK>", "春", "月", "花", "落"]
    assert made.codec.vocab.counts[:6] == [4, 0, 2, 2, 2, 2]
    assert (len(made.codec.vocab), made.loss) == (17, Loss(0, 0, 19, ()))
    assert (made.survey.documents, made.survey.characters) == (4, 19)


def test_limits_lose_the_rarest_tokens(poems):
    made = census_of(poems, min_count=2)
    assert set(made.codec.vocab.tokens[2:]) == set("月春花落")
    assert (made.loss.types, made.loss.tokens, made.loss.of_tokens) == (11, 11, 19)
    assert made.codec.vocab.counts[UNK] == 11


def test_a_stream_has_line_ends_for_tokens_and_closes_nothing(poems):
    made = census_of(poems, reading="stream")
    assert made.codec.vocab.tokens[:3] == ["<EOS>", "<UNK>", "\n"]
    assert made.codec.vocab.counts[:3] == [0, 0, 4]


def test_the_level_chooses_the_tokenizer(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(SENTENCES))
    assert census_of(str(tmp_path / "a.txt"), level="spaced").codec.vocab.tokens[2] == "the"


def test_a_user_dictionary_makes_words(tmp_path, poems):
    (tmp_path / "words").write_text("春江花月夜 999\n", encoding="utf-8")
    made = census_of(poems, level="word", user_dict=str(tmp_path / "words"))
    assert "春江花月夜" in made.codec.vocab.ids


def test_unusable_lines_of_a_user_dictionary_are_told_once(tmp_path, poems):
    (tmp_path / "words").write_text("春江花月夜 999\n卡拉OK\n", encoding="utf-8")
    config, notes = TextConfig(level="word", user_dict=str(tmp_path / "words")), []
    assert vocab_job.of_files([poems], config, note=notes.append).survey.findings() == []
    assert [note.startswith("1 line of the user dictionary left out, e.g. ") for note in notes] == [True]
    assert len(census.take(LINES, config, Survey()).survey.findings()) == 1


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(TextError, match="holds no tokens: the vocabulary would be empty"):
        census_of(str(tmp_path / "a.txt"))


@pytest.mark.parametrize("min_count", [1, 2])
def test_an_empty_text_is_not_told_to_try_what_cannot_help(tmp_path, min_count):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(TextError) as caught:
        census_of(str(tmp_path / "a.txt"), min_count=min_count)
    assert caught.value.hint == "is the file empty, or every line blank?"


def test_a_text_of_nothing_but_spelled_specials_is_not_told_to_try_the_default(tmp_path):
    (tmp_path / "a.txt").write_text("<unk> <unk>\n")
    with pytest.raises(TextError) as caught:
        census_of(str(tmp_path / "a.txt"), level="spaced")
    assert "--min-count" not in caught.value.hint


def test_limits_that_leave_no_token_are_refused(poems):
    with pytest.raises(TextError, match="seen 9 times or more") as caught:
        census_of(poems, min_count=9)
    assert "--min-count 1" in caught.value.hint


def test_no_source_is_refused():
    with pytest.raises(TextError, match="no text was given"):
        census_of()


# ── shards ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("knobs", [{}, {"reading": "stream"}, {"level": "mixed"}])
def test_vocabularies_of_shards_add_to_that_of_the_whole(tmp_path, poems, knobs):
    shards = [saved(census_of(poems, shard=(k, 3), **knobs), tmp_path / str(k)) for k in (1, 2, 3)]
    added, whole = census_of(*shards, min_count=2), census_of(poems, min_count=2, **knobs)
    assert added.codec.fingerprint() == whole.codec.fingerprint()
    assert (added.codec.vocab.counts, added.loss) == (whole.codec.vocab.counts, whole.loss)


def test_a_shard_takes_every_nth_document_from_the_kth(poems):
    assert census_of(poems, shard=(2, 3)).survey.characters == len(LINES[1])
    assert census_of(poems, shard=(1, 3)).survey.characters == len(LINES[0] + LINES[3])


def test_shards_that_cut_otherwise_do_not_add(tmp_path, poems):
    first = saved(census_of(poems), tmp_path / "first")
    for knobs in ({"level": "mixed"}, {"reading": "stream"}):
        second = saved(census_of(poems, **knobs), tmp_path / "second")
        with pytest.raises(VocabError, match=r"second cuts text otherwise than .*first"):
            census_of(first, second)


def test_shards_that_lost_rare_tokens_are_noted(tmp_path, poems):
    notes: list[str] = []
    census_of(saved(census_of(poems, min_count=2), tmp_path / "v"), notes=notes)
    assert len(notes) == 1 and "has left out rare tokens already" in notes[0]


# ── another text ────────────────────────────────────────────────────────────────────────────────


def test_what_a_vocabulary_does_not_know_is_told_by_script(tmp_path, poems):
    folder = tmp_path / "v"
    saved(census_of(poems), folder)
    (tmp_path / "b.txt").write_text("春水，a月\n", encoding="utf-8")
    whole, scripts = vocab_job.unknown_of(folder, [str(tmp_path / "b.txt")], TextConfig(), note=print)
    assert whole == Loss(3, 3, 5, (("a", 1), ("水", 1), ("，", 1)))
    assert scripts == {
        "han": Loss(1, 1, 3, (("水", 1),)),
        "latin": Loss(1, 1, 1, (("a", 1),)),
        "punctuation": Loss(1, 1, 1, (("，", 1),)),
    }


def test_another_text_is_read_as_the_vocabulary_was(tmp_path, poems):
    folder = tmp_path / "v"
    saved(census_of(poems, reading="stream"), folder)
    whole, _ = vocab_job.unknown_of(folder, [poems], TextConfig(), note=print)
    assert whole == Loss(0, 0, 23, ())  # 19 characters and 4 line ends


def test_an_empty_other_text_is_refused(tmp_path, poems):
    folder = tmp_path / "v"
    saved(census_of(poems), folder)
    (tmp_path / "b.txt").write_text("\n")
    with pytest.raises(TextError, match=r"b\.txt holds no text"):
        vocab_job.unknown_of(folder, [str(tmp_path / "b.txt")], TextConfig(), note=print)


@pytest.mark.parametrize(
    ("token", "script"),
    [
        ("〇", "han"),
        ("𠮷", "han"),
        ("\n", "space"),
        ("7", "digit"),
        ("½", "digit"),
        ("élan", "latin"),
        ("нет", "other"),
        ("か", "other"),
        ("-", "punctuation"),
    ],
)
def test_scripts(token, script):
    assert script_of(token) == script


def test_taking_documents_surveys_them():
    survey = Survey()
    made = census.take(["春（", "春（"], TextConfig(), survey)
    assert made.survey is survey
    assert survey.repeats.count == 1
