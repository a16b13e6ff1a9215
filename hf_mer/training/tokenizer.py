"""A tokenizer learned from the training texts of a fold."""

from collections import Counter

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer

# of words; with more, accents belong to the language (English has a tenth of it, German ten times)
ACCENTED_SHARE = 0.01


def train_tokenizer(texts: list[str], vocab_size: int) -> BertTokenizer:
    """A lower-case WordPiece tokenizer learned from texts; the same texts give the same vocabulary.

    Accents are stripped, as BERT does, where they are a rarity (*naïve* in English). Where more than one word in a
    hundred has them they belong to the language and stay: *schon* and *schön*, *sąd* and *sad* are different words,
    and what takes off accents would take off vowel signs and take Hangul apart.
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    keep_accents = _has_accents(texts)
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=not keep_accents)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = [
        word
        for text in texts
        for word, _ in wordpiece.pre_tokenizer.pre_tokenize_str(wordpiece.normalizer.normalize_str(text))
    ]
    # named beforehand: the trainer numbers inner letters as they come out of a hash table, and breaks ties by number
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=special + inner, min_frequency=2, show_progress=False
    )
    wordpiece.train_from_iterator(texts, trainer)
    vocabulary = sorted(wordpiece.get_vocab().items(), key=lambda item: item[1])
    own = {"strip_accents": False} if keep_accents else {}  # none: BERT's own
    return BertTokenizer(vocab={token: index for index, (token, _) in enumerate(vocabulary)}, **own)


def _has_accents(texts: list[str]) -> bool:
    """Whether stripping accents would change more than a rare word of these texts."""
    stripping = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    keeping = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    words = Counter(word for text in texts for word in keeping.normalize_str(text).split())
    changed = sum(count for word, count in words.items() if stripping.normalize_str(word) != word)
    return changed > ACCENTED_SHARE * words.total()
