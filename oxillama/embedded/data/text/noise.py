"""The same question in other words: synonyms, fillers, contractions, key words alone, mistypings. Cheap, and drawn from the
caller's generator."""

from __future__ import annotations

import random
import re

# Words that may stand for each other wherever these questions use them.
SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("how do i", "how can i", "how to", "how would i", "how does one", "how should i", "what do i do to", "how could i"),
    ("how do i", "how do we", "how do you", "how might i", "what's the way to", "what is the way to"),
    ("can i", "could i", "may i", "am i able to", "is it possible to", "is there a way to", "can one", "can you"),
    ("i want to", "i need to", "i'd like to", "i would like to", "i have to", "i wish to", "i'm trying to", "trying to", "we want to"),
    ("i want", "i need", "i'd like", "i would like", "we need", "give me"),
    ("where do i", "where can i", "where should i", "where would i"),
    ("what is", "what's", "whats", "tell me", "explain"),
    ("is there", "do you have", "does it have", "is there any chance of", "do we have"),
    ("does it", "does oxillama", "will it", "does this", "does the program", "can it"),
    ("can it", "could it", "is it able to", "can this", "can oxillama"),
    ("which", "what"),
    ("show", "display", "print"), ("see", "view", "look at"), ("find out", "learn", "discover", "check"),
    ("change", "modify", "alter", "adjust"), ("set", "configure", "specify", "define"), ("raise", "increase", "bump"),
    ("lower", "reduce", "decrease"), ("remove", "delete", "get rid of"), ("make", "create"), ("begin", "start"), ("end", "finish"),
    ("choose", "pick", "select"), ("use", "work with"), ("get", "obtain", "receive"), ("send", "pass", "submit"), ("keep", "retain"),
    ("limit", "restrict", "cap", "bound"), ("stop", "halt"), ("avoid", "prevent"), ("fix", "solve", "resolve"), ("allow", "permit", "let"),
    ("option", "flag", "switch", "setting", "parameter", "argument"), ("command", "subcommand"), ("folder", "directory", "dir"),
    ("machine", "computer", "box", "pc", "laptop"), ("quick", "fast"), ("quicker", "faster"), ("speed", "performance"),
    ("answer", "reply", "response"), ("answers", "replies", "responses"), ("question", "query"), ("error", "problem", "failure"),
    ("gguf file", "model file", "gguf"), ("gguf", ".gguf file", "gguf model"), ("maximum", "largest", "biggest", "most"),
    ("default", "standard", "preset"), ("several", "multiple", "many", "more than one"), ("correct", "right"), ("big", "large", "huge"),
    ("small", "little", "tiny"), ("shell", "terminal", "console"), ("browser", "web browser"), ("program", "app", "script", "application"),
    ("wait", "hang on"), ("mean", "stand for"), ("wrong", "broken"), ("need", "require"), ("please", "pls", "kindly"),
    ("because", "since", "as"), ("but", "though"), ("without", "w/o"), ("and", "&"), ("also", "too"), ("my", "the", "our"), ("a", "one", "some"),
)  # fmt: skip
_OTHERS: dict[str, list[str]] = {}
for _group in SYNONYMS:
    for _word in _group:
        _OTHERS.setdefault(_word, []).extend(other for other in _group if other != _word)
# Words of commands ("oxillama serve", "--set") are not words of the language, so no dash, dot or slash may touch them.
_WORD = re.compile(
    r"(?<![\w./'\"=-])(" + "|".join(re.escape(word) for word in sorted(_OTHERS, key=len, reverse=True)) + r")(?![\w/'\"=-]|\.\w)",
    re.IGNORECASE,
)
CONTRACTIONS = (
    ("do not", "don't"), ("does not", "doesn't"), ("is not", "isn't"), ("are not", "aren't"), ("cannot", "can't"), ("what is", "what's"),
    ("how is", "how's"), ("it is", "it's"), ("i am", "i'm"), ("i have", "i've"), ("i would", "i'd"), ("there is", "there's"),
    ("where is", "where's"), ("will not", "won't"), ("should not", "shouldn't"), ("want to", "wanna"), ("going to", "gonna"), ("you", "u"),
    ("are", "r"), ("does not", "does n't"), ("has not", "hasn't"), ("that is", "that's"),
)  # fmt: skip
STOP_WORDS = frozenset(
    re.split(
        r"\s+",
        "a an the i we you it is are do does did can could may would should to of for in on at my our your me please how what "
        "which there that this so be am want need have has with oxillama and as it's what's i'd i'm way",
    )
)
BEFORE = (
    "hi", "hello", "hey", "hey there", "hi all", "please", "quick question:", "question:", "ok", "so", "well", "excuse me,", "sorry,", "and", "um,",
    "actually", "just wondering,", "one more thing:", "ok then,", "dumb question:", "maybe a stupid question, but", "new here,", "help!", "hmm,",
    "next:", "also", "now", "first of all,", "with oxillama,", "in oxillama,", "oxillama:", "tell me,", "say,", "by the way,", "btw", "for my project:",
    "please tell me", "can you tell me", "do you know", "any idea", "I was wondering:", "I wonder", "not sure about this:", "for a demo:",
)  # fmt: skip
AFTER = (
    "thanks", "thank you", "please", "pls", "thanks in advance", "I am new here", "I use Linux", "be brief", "any hint?", "any idea?", "help",
    "in oxillama", "with oxillama", "exactly", "again", "I wonder", "somehow", "anybody?", "how?", "ok?", "right now", "can't find it in the docs",
    "I looked everywhere", "if possible", "if that is possible at all", "in short", "for a friend", "at work", "here", "at all", "really",
    "on my server", "on ubuntu", "on debian", "with my own model", "what should I do?", "an example would help", "I forgot", "you know",
)  # fmt: skip
FILLERS = ("actually", "just", "maybe", "simply", "somehow", "now", "really", "also", "even", "perhaps", "exactly", "then", "still", "always")
_NEAR = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n",
    "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip


def other_words(text: str, rng: random.Random, share: float = 0.4) -> str:
    """Some of its words replaced with others that mean the same."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if rng.random() >= share:
            return word
        found = rng.choice(_OTHERS[word.lower()])
        return found[:1].upper() + found[1:] if word[:1].isupper() else found

    return _WORD.sub(other, text)


def contracted(text: str, rng: random.Random) -> str:
    """Shorter forms where there are any, at times without their apostrophe."""
    for long, short in CONTRACTIONS:
        if rng.random() < 0.5:
            text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
    return text.replace("'", "") if rng.random() < 0.5 and '"' not in text else text


def keywords(text: str) -> str:
    """What remains without stop words, as it is typed into a search field; the text itself if that is next to nothing."""
    words = text.split()
    kept = [word for word in words if word.lower().strip(".,?!:") not in STOP_WORDS]
    return " ".join(kept).rstrip("?.!") if len(kept) >= 3 and len(words) >= 5 else text


def with_filler(text: str, rng: random.Random) -> str:
    """A word more that says nothing, or a word less that matters little."""
    words = text.split()
    if rng.random() < 0.5:
        words.insert(rng.randint(0, len(words)), rng.choice(FILLERS))
    elif len(words) > 5:
        small = [i for i, word in enumerate(words) if word.lower() in STOP_WORDS]
        if small:
            del words[rng.choice(small)]
    return " ".join(words)


def reworded(text: str, rng: random.Random) -> str:
    """The text changed in none, one or several of these ways; what it asks for stays."""
    if rng.random() < 0.45:
        text = other_words(text, rng)
    if rng.random() < 0.12:
        text = contracted(text, rng)
    draw = rng.random()
    if draw < 0.10:
        text = keywords(text)
    elif draw < 0.24:
        text = with_filler(text, rng)
    if rng.random() < 0.13:
        before = rng.choice(BEFORE)
        text = before + " " + (text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text)
    if rng.random() < 0.10:
        text = text.rstrip() + rng.choice((" ", ", ")) + rng.choice(AFTER) if text[-1:].isalnum() else text + " " + rng.choice(AFTER)
    return text


def mistyped(text: str, rng: random.Random) -> str:
    """One letter swapped, left out, doubled or hit beside."""
    if len(text) <= 8:
        return text
    i = rng.randrange(1, len(text) - 2)
    a, b = text[i], text[i + 1]
    if not (a.isalpha() and b.isalpha()):
        return text
    near = rng.choice(_NEAR.get(a.lower(), a))
    middle = rng.choice((b + a, b, a + a + b, near + b))
    return text[:i] + middle + text[i + 2 :]


def hasty(text: str, rng: random.Random) -> str:
    """The text as somebody in a hurry types it: now and then in small letters, or without its mark."""
    if rng.random() < 0.25:
        text = text.lower()
    draw = rng.random()
    if draw < 0.20:
        text = text.rstrip("?.!")
    elif draw < 0.24 and text[-1:].isalnum():
        text += rng.choice("??.!") * rng.choice((1, 1, 2))
    return text


def careless(text: str, rng: random.Random) -> str:
    """In a hurry, and at times with a wrong letter."""
    text = hasty(text, rng)
    return mistyped(text, rng) if rng.random() < 0.10 else text
