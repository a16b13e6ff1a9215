"""Words and clauses of the generated corpus, by language.

Forms are fixed so that whatever is put into a slot agrees with what stands around it: German and Polish clauses take
nouns of one gender and verbs of one person. Every clause is given word by word, in Chinese too; the words of a
language say the same about valence, are equally many, and are used equally often.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """What sentences of a language are made of.

    Attributes:
        valence_words: By valence (1 positive, -1 negative, 0 neutral) and kind, equally many of each.
        salient_clauses: Clauses with one slot for a valence word, and perhaps slots for things, persons, ...
        neutral_clauses: Clauses that say nothing of valence.
        fillers: Words that stand by themselves.
        slots: What may stand in the other slots.
        calls: Fillers that a colon may follow.
        backchannel: What a listener says.
        space: Between words.
        marks: Comma, full stop and colon.
    """

    valence_words: dict[int, dict[str, tuple[str, ...]]]
    salient_clauses: tuple[tuple[str, ...], ...]
    neutral_clauses: tuple[tuple[str, ...], ...]
    fillers: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    calls: tuple[str, ...]
    backchannel: str
    space: str = " "
    marks: tuple[str, str, str] = (",", ".", ":")


def _clauses(*clauses: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(clause.split()) for clause in clauses)


_ENGLISH = Language(
    valence_words={
        1: {
            "adjective": ("wonderful", "great", "lovely", "perfect", "amazing", "happy", "delightful", "brilliant"),
            "noun": ("joy", "triumph", "blessing", "treat"),
            "verb": ("loved", "adored", "enjoyed", "admired"),
        },
        -1: {
            "adjective": (
                "terrible", "awful", "horrible", "dreadful", "miserable", "nasty", "disgusting", "hopeless",
            ),
            "noun": ("disaster", "nightmare", "mess", "shame"),
            "verb": ("hated", "despised", "dreaded", "resented"),
        },
        0: {
            "adjective": ("usual", "ordinary", "typical", "recent", "regular", "separate", "official", "local"),
            "noun": ("report", "matter", "detail", "plan"),
            "verb": ("noticed", "mentioned", "checked", "described"),
        },
    },
    salient_clauses=_clauses(
        "it was {adjective}",
        "I feel {adjective}",
        "I {verb} it",
        "what a {noun}",
        "that was a {noun}",
        "it felt rather {adjective}",
        "we {verb} the {thing}",
        "the {thing} is {adjective}",
        "such a {adjective} {thing}",
        "my {person} {verb} the {thing}",
        "you called it a {noun}",
    ),
    neutral_clauses=_clauses(
        "he is still here",
        "we can talk later",
        "I told your {person}",
        "she called on {day}",
        "we met at the {place}",
        "I went to the {place}",
        "they came back on {day}",
        "put it there",
        "you were at the {place}",
        "the {thing} is on the table",
    ),
    fillers=("well", "so", "okay", "anyway", "now", "look", "listen", "then"),
    slots={
        "thing": ("letter", "car", "house", "dinner", "meeting", "phone", "ticket", "picture"),
        "person": ("brother", "sister", "mother", "father", "friend", "neighbour"),
        "place": ("office", "station", "bank", "school", "beach", "airport"),
        "day": ("Monday", "Tuesday", "Friday", "Sunday"),
    },
    calls=("look", "listen"),
    backchannel="Mm-hmm.",
)  # fmt: skip

# Nouns of valence, persons and places are masculine, adjectives predicative, verbs first and third person singular.
_GERMAN = Language(
    valence_words={
        1: {
            "adjective": (
                "wunderbar", "großartig", "herrlich", "perfekt", "fantastisch", "schön", "entzückend", "brillant",
            ),
            "noun": ("Triumph", "Segen", "Genuss", "Glücksfall"),
            "verb": ("liebte", "genoss", "bewunderte", "mochte"),
        },
        -1: {
            "adjective": (
                "schrecklich", "furchtbar", "grässlich", "entsetzlich", "miserabel", "übel", "eklig", "hoffnungslos",
            ),
            "noun": ("Albtraum", "Reinfall", "Schock", "Fehlschlag"),
            "verb": ("hasste", "verabscheute", "fürchtete", "bereute"),
        },
        0: {
            "adjective": ("üblich", "gewöhnlich", "typisch", "amtlich", "regulär", "getrennt", "offiziell", "örtlich"),
            "noun": ("Bericht", "Vorgang", "Vermerk", "Entwurf"),
            "verb": ("bemerkte", "erwähnte", "prüfte", "beschrieb"),
        },
    },
    salient_clauses=_clauses(
        "es war {adjective}",
        "das klingt {adjective}",
        "ich {verb} es",
        "so ein {noun}",
        "das war ein {noun}",
        "ich fand es {adjective}",
        "ich {verb} die {feminine}",
        "der {masculine} ist {adjective}",
        "unsere {feminine} war {adjective}",
        "mein {person} {verb} den {masculine}",
        "du nanntest es einen {noun}",
    ),
    neutral_clauses=_clauses(
        "er ist schon hier",
        "wir reden später darüber",
        "ich sagte es deinem {person}",
        "sie rief am {day} an",
        "wir trafen uns am {place}",
        "ich ging zum {place}",
        "sie kamen am {day} zurück",
        "leg es dorthin",
        "du warst am {place}",
        "der {masculine} liegt auf dem Tisch",
    ),
    fillers=("also", "na", "okay", "jedenfalls", "jetzt", "schau", "hör", "dann"),
    slots={
        "masculine": ("Brief", "Schlüssel", "Ausweis", "Vertrag", "Kalender", "Film"),
        "feminine": ("Wohnung", "Rechnung", "Karte", "Tasche", "Prüfung", "Feier"),
        "person": ("Bruder", "Vater", "Freund", "Onkel", "Lehrer", "Schwager"),
        "place": ("Bahnhof", "Strand", "Flughafen", "Markt", "Hafen", "See"),
        "day": ("Montag", "Dienstag", "Freitag", "Sonntag"),
    },
    calls=("schau", "hör"),
    backchannel="Mhm.",
)  # fmt: skip

# Nouns of valence and persons are masculine, things neuter, verbs third person masculine with the accusative.
_POLISH = Language(
    valence_words={
        1: {
            "adjective": (
                "wspaniałe", "świetne", "cudowne", "piękne", "doskonałe", "urocze", "śliczne", "genialne",
            ),
            "noun": ("triumf", "sukces", "cud", "zachwyt"),
            "verb": ("pokochał", "uwielbiał", "podziwiał", "polubił"),
        },
        -1: {
            "adjective": (
                "straszne", "okropne", "koszmarne", "fatalne", "żałosne", "wstrętne", "obrzydliwe", "beznadziejne",
            ),
            "noun": ("koszmar", "dramat", "wstyd", "horror"),
            "verb": ("znienawidził", "przeklinał", "zniszczył", "wyśmiał"),
        },
        0: {
            "adjective": ("zwykłe", "zwyczajne", "typowe", "niedawne", "regularne", "osobne", "urzędowe", "lokalne"),
            "noun": ("raport", "szczegół", "plan", "wniosek"),
            "verb": ("zauważył", "sprawdził", "opisał", "obejrzał"),
        },
    },
    salient_clauses=_clauses(
        "to było {adjective}",
        "jakie {adjective} {thing}",
        "on to {verb}",
        "co za {noun}",
        "to był prawdziwy {noun}",
        "to jest dość {adjective}",
        "on {verb} to {thing}",
        "to {thing} jest {adjective}",
        "całe {thing} było {adjective}",
        "mój {person} {verb} to {thing}",
        "mówiłeś, że to był {noun}",
    ),
    neutral_clauses=_clauses(
        "on jest jeszcze tutaj",
        "pogadamy o tym później",
        "mój {person} tu był",
        "zadzwoniła w {day}",
        "spotkaliśmy się na {place}",
        "byłem rano na {place}",
        "oni wrócili w {day}",
        "połóż to tam",
        "byłeś wtedy na {place}",
        "to {thing} jest na liście",
    ),
    fillers=("więc", "no", "okej", "zresztą", "teraz", "patrz", "słuchaj", "potem"),
    slots={
        "thing": ("zdjęcie", "mieszkanie", "spotkanie", "pismo", "auto", "zadanie", "krzesło", "nagranie"),
        "person": ("brat", "ojciec", "kolega", "sąsiad", "wujek", "dziadek"),
        "place": ("dworcu", "lotnisku", "plaży", "poczcie", "rynku", "uczelni"),
        "day": ("poniedziałek", "piątek", "sobotę", "niedzielę"),
    },
    calls=("patrz", "słuchaj"),
    backchannel="Mhm.",
)  # fmt: skip

_CHINESE = Language(
    valence_words={
        1: {
            "adjective": ("精彩", "美好", "完美", "可爱", "出色", "愉快", "漂亮", "优秀"),
            "noun": ("奇迹", "惊喜", "喜讯", "杰作"),
            "verb": ("喜欢", "热爱", "享受", "欣赏"),
        },
        -1: {
            "adjective": ("糟糕", "可怕", "讨厌", "恶心", "痛苦", "悲惨", "丑陋", "恶劣"),
            "noun": ("灾难", "噩梦", "耻辱", "骗局"),
            "verb": ("痛恨", "厌恶", "害怕", "憎恨"),
        },
        0: {
            "adjective": ("普通", "平常", "典型", "正式", "常见", "一般", "独立", "简短"),
            "noun": ("报告", "细节", "计划", "说明"),
            "verb": ("看到", "提到", "检查", "描述"),
        },
    },
    salient_clauses=_clauses(
        "那 很 {adjective}",
        "感觉 真 {adjective}",
        "我 {verb} 它",
        "真是 个 {noun}",
        "那 是 个 {noun}",
        "听 起来 相当 {adjective}",
        "我们 {verb} 这个 {thing}",
        "这个 {thing} 很 {adjective}",
        "多么 {adjective} 的 {thing}",
        "我 {person} {verb} 这个 {thing}",
        "你 说 那 是 {noun}",
    ),
    neutral_clauses=_clauses(
        "他 还 在 这里",
        "我们 以后 再 谈",
        "我 告诉 了 你 {person}",
        "她 {day} 打 了 电话",
        "我们 在 {place} 见面",
        "我 去 了 {place}",
        "他们 {day} 回来 了",
        "放 在 那里",
        "你 当时 在 {place}",
        "那个 {thing} 在 单子 上",
    ),
    fillers=("嗯", "那么", "好吧", "反正", "现在", "你看", "听着", "然后"),
    slots={
        "thing": ("房子", "会议", "手机", "节目", "礼物", "故事", "房间", "公园"),
        "person": ("哥哥", "姐姐", "妈妈", "爸爸", "朋友", "邻居"),
        "place": ("车站", "银行", "学校", "海边", "机场", "办公室"),
        "day": ("周一", "周二", "周五", "周日"),
    },
    calls=("你看", "听着"),
    backchannel="嗯。",
    space="",
    marks=("\uff0c", "。", "\uff1a"),
)

LANGUAGES: dict[str, Language] = {"en": _ENGLISH, "de": _GERMAN, "pl": _POLISH, "zh": _CHINESE}
"""Languages of the generated corpus by their ISO 639-1 code."""
