"""Makes test/fixtures/text-metrics: SQuAD's exact match and F1, `rouge-score`'s ROUGE-L, NLTK's stems, on awkward texts.

    pip install rouge-score==0.1.2 nltk==3.10.4
    python tools/parity/generate_text_metrics.py
"""

import random
import re
import string
import sys
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from fixture import write_json

FOLDER = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "text-metrics"

PAIRS = [
    ("The cat sat on the mat.", "the cat is on the mat"),
    ("", ""), ("", "word"), ("word", ""), ("...", "..."), ("!?", "the"), ("the", "a an"), ("   \t\n", "x"),
    ("a b c", "c b a"), ("a a b", "a b a b"), ("x x x", "x"), ("one two three four", "two four one three"),
    ("It's John's 2nd try, isn't it?", "its johns 2nd try isnt it"), ("1,000.50 dollars", "1000.50 dollars"), ("U.S.A.", "USA"),
    ("café naïve Ångström", "cafe naive Angstrom"), ("ÜBER das Café", "über DAS café"), ("ña the ñandú", "the ñandú ña"), ("a\u00e1 \u00e1a the\u00e9", "aá áa theé"),
    ("日本語のテキスト", "日本語のテキスト"), ("日本 語 text", "日本 text 語"), ("привет the мир", "Привет мир"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("İstanbul", "i̇stanbul"),
    ("👍🏽 good 👨‍👩‍👧 job", "good job 👍🏽"), ("snake_case and kebab-case", "snake case and kebab case"), ("foo_the_bar", "foo bar"),
    ("tab\tnew\nline\r\nnbsp\u00a0thin\u2009ideographic\u3000end", "tab new line nbsp thin ideographic end"), ("unit\x1fsep\x1cfile\x85next", "unit sep file next"),
    ("zero\u200bwidth\ufeffmark", "zero width mark"), ("An apple a day keeps the doctor away", "Apples each day keep doctors away"),
    ("The flies were dying, lying and trying to say they played yesterday", "They say the fly died, lied and tried; plays every day"),
    ("relational conditional valencies hesitancies digitizers", "relate condition valence hesitance digitize"),
    ("generously beautifully archaeologists radically", "generous beautiful archaeology radical"),
    ("word " * 60, "word " * 37 + "other"), ("$100 & 50%", "100 50"), ("C++ or C#", "c"), ("e.g. i.e. etc.", "eg ie etc"),
    ("THE THE THE", "the quick brown fox"), ("theatre anthem", "the atre an them"), ("“quoted” — dash…", "quoted dash"), ("½ ² ٣", "1/2 2 3"),
]  # fmt: skip

SEVERAL = [
    ("paris", ["London", "Paris, France", "Paris"]), ("a b c d", ["a", "a b", "d c b a", "b c d e f g"]), ("the", ["", "x"]), ("nothing", ["some", "thing"]),
    ("stemmed words matter", ["stemming word mattered", "words matter"]), ("x", ["...", "日本"]),
]  # fmt: skip

ROOTS = """adapt act add ag aim allow arch author base beauti bl bold by cat caress cease clas coast com communi connect control cri day deci depend di
differ digit do dye early electr enjoy eye fail feed fil flee fl form free gener geo good happ hes hiss hop hope hum irrit jo key la li log lov mat motor nation
news obey oper opposit oxid play pleas ponder predic probat q rat rel revel rol say sensib sens sky squ st study syzyg tan theo tr trou try use v valenc vex
viet way wy yell yy yyy ze""".split()  # fmt: skip
SUFFIXES = [""] + """s es ies ied ed eed ing y ly ally ational tional ency ancy izer bly ably ibly ally ently ely ously ization ation ator alism iveness fulness ousness
ality ivity bility fully logy logi alli fulli icate ative alize icity ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate ity
ous ive ize e ee ll lle nn nned nning ss sses x w wed 1 s1""".split()  # fmt: skip


def normalized(text):
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(answer, reference):
    found, expected = normalized(answer).split(), normalized(reference).split()
    if not found or not expected:
        return float(found == expected)
    common = sum((Counter(found) & Counter(expected)).values())
    return 2 * common / (len(found) + len(expected))


def rouge(answer, reference, stem):
    return RougeScorer(["rougeL"], use_stemmer=stem).score(reference, answer)["rougeL"].fmeasure


def case(answer, references):
    best = lambda metric: max(metric(answer, reference) for reference in references)
    return {
        "answer": answer, "references": references,
        "exactMatch": best(lambda a, r: float(normalized(a) == normalized(r))), "tokenF1": best(f1),
        "rougeL": best(lambda a, r: rouge(a, r, False)), "rougeLStemmed": best(lambda a, r: rouge(a, r, True)),
    }  # fmt: skip


def random_pairs():
    draw = random.Random(7)
    words = [draw.choice(ROOTS) + draw.choice(SUFFIXES) for _ in range(25)] + ["the", "a", "it's", "x-y"]
    text = lambda: " ".join(draw.choices(words, k=draw.randint(1, 30)))
    return [(text(), text()) for _ in range(40)]


def main():
    FOLDER.mkdir(exist_ok=True)
    cases = [case(answer, [reference]) for answer, reference in PAIRS + random_pairs()] + [case(*one) for one in SEVERAL]
    write_json(FOLDER / "cases.json", cases)
    stemmer = PorterStemmer()
    words = sorted({root + suffix for root in ROOTS for suffix in SUFFIXES})[::3] + sorted(stemmer.pool)
    (FOLDER / "stems.txt").write_text("".join(f"{word} {stemmer.stem(word)}\n" for word in words))
    print(len(cases), "cases", len(words), "words")


if __name__ == "__main__":
    main()
