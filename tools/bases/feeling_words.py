"""The words of the VADER lexicon (PyPI vaderSentiment 3.3.2, MIT) that are one word of plain letters, with their mean valence from -4 to 4.

/tmp/venv/bin/pip install vaderSentiment==3.3.2
/tmp/venv/bin/python tools/bases/feeling_words.py > bases/cadre-mini/feeling-words.tsv
"""

import pathlib
import re

import vaderSentiment

lexicon = pathlib.Path(vaderSentiment.__file__).with_name("vader_lexicon.txt")
# Of a word that is listed twice the last line counts, as in VADER.
valences = dict(line.split("\t")[:2] for line in lexicon.read_text(encoding="utf-8").splitlines())
for word in sorted(valences):
    if re.fullmatch("[a-z]+", word):
        print(f"{word}\t{valences[word]}")
