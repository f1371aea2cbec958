"""What google's rouge-score makes of made-up texts, and NLTK's Porter stemmer of made-up words.

    pip install rouge-score==0.1.2 nltk
    python tests/goldens/make_rouge.py [OUT]    # OUT: rouge/ beside this file by default
"""

import json
import random
import sys
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]

# Endings that the rules of the stemmer look at, and letters that its conditions tell apart.
ENDINGS = (
    "sses ies ied ss s eed ed ing at bl iz y ational tional enci anci izer bli alli entli eli ousli ization ation ator "
    "alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic "
    "able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize e ll l"
).split()
WHOLE = (
    "sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed dies "
    "died ties tied cries cried yyyy yoyo syzygy 2nd 1990s geology theology archaeology happily enjoyment hopping hoping "
    "falling filing failing sized agreed feed bled sing controlling rolled generalizations oscillators"
).split()

PAIRS = [
    ("The cat sat on the mat.", "the cat sat on the mat"),
    ("The cat sat on the mat.", "A dog lay beside the mat."),
    ("", "words"),
    ("words", ""),
    ("", ""),
    ("... !", "words"),
    ("one", "one one one"),
    ("one one one", "one"),
    ("police killed the gunman", "the gunman killed police"),
    ("first line here\nsecond line there", "second line there\nfirst line here"),
    ("first line here\nsecond line there", "second line there first line here"),
    ("a b c d e", "a c e\nb d"),
    ("a b a b\na b", "a b\nb a\na b a"),
    ("\n\nlines\n\n", "lines"),
    ("carriage\r\nreturns\rhere\x0bthere\u2028beyond", "carriage\nreturns here there beyond"),
    ("The meetings were discussing generalizations", "the meeting discussed a generalization happily"),
    ("skies dying news flies", "sky die new fly"),
    ("Caf\u00e9 \u0130stanbul \u212aelvin na\u00efve \u03a3\u03c2", "caf istanbul kelvin naive"),
    ("snake_case and kebab-case, don't", "snake case and kebab case don t"),
    ("x" * 40, "x" * 40 + " y"),
]


def words(draw):
    made = set(WHOLE)
    while len(made) < 1500:
        start = "".join(draw.choice("aeiouybcdlstrz") for _ in range(draw.randint(0, 6)))
        made.add(start + "".join(draw.choice(ENDINGS) for _ in range(draw.randint(1, 2))))
    return sorted(made)


def main(folder):
    folder.mkdir(exist_ok=True)
    draw = random.Random(0)
    stemmer = PorterStemmer()
    stems = [[word, stemmer.stem(word)] for word in words(draw)]
    (folder / "stems.json").write_text(json.dumps(stems, separators=(",", ":")) + "\n")
    vocabulary = "the a meeting meetings discussed remote control controls was were agreed 3 design \n . ,".split(" ")
    pairs = list(PAIRS)
    for _ in range(40):
        pairs.append(tuple(" ".join(draw.choices(vocabulary, k=draw.randint(1, 30))) for _ in range(2)))
    cases = []
    for target, prediction in pairs:
        case = {"target": target, "prediction": prediction}
        for name, stemming in (("plain", False), ("stem", True)):
            scores = RougeScorer(TYPES, use_stemmer=stemming).score(target, prediction)
            case[name] = {kind: list(score) for kind, score in scores.items()}
        cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (folder / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "rouge")
