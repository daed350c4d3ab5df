"""Words from which functions, parameters, requests and values are made up."""

from __future__ import annotations

import random
import re

from oxillama.embedded.data.text.words import (
    ANIMALS,
    CITIES,
    COUNTRIES,
    FOODS,
    JOBS,
    LANGUAGES,
    NAMES,
    PLANTS,
    SUBJECTS,
    THINGS,
)

_SYLLABLES = ["ba", "be", "bi", "bo", "bu", "bra", "bro", "cal", "can", "car", "cha", "che", "chi", "co", "con", "cor", "cra", "cu", "da", "de", "di", "do", "dra", "du", "el", "en", "er", "fa", "fe", "fi", "flo", "fra", "fu", "ga", "ge", "gi", "go", "gra", "gu", "ha", "he", "hi", "ho", "hu", "il", "in", "ja", "je", "jo", "ka", "ke", "ki", "ko", "kra", "ku", "la", "le", "li", "lo", "lu", "ma", "me", "mi", "mo", "mu", "na", "ne", "ni", "no", "nu", "ol", "on", "or", "pa", "pe", "pi", "po", "pra", "pu", "qua", "ra", "re", "ri", "ro", "ru", "sa", "se", "shi", "so", "sta", "ste", "sto", "su", "ta", "te", "ti", "to", "tra", "tu", "ul", "un", "va", "ve", "vi", "vo", "wa", "we", "wi", "xa", "ya", "yo", "za", "ze", "zo", "zu", "mal", "ber", "ton", "ville", "ham", "ford", "ster", "ling", "mar", "tin", "son", "berg", "wick", "nor", "sol", "tan", "vel", "dor", "min", "ran", "sen", "lan", "ther", "mont", "bel", "gar", "pol", "sten", "ax", "ix", "um", "ard", "olf", "ine", "ette", "ock", "ish"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOUNS = tuple(
    re.findall(
        r"\w+",
        """account address advert agenda airport album alert animal answer apartment appointment archive area article asset auction
    audit award backup badge balance ballot bank basket battery bill booking branch bridge budget bug building bundle calendar camera
    campaign car card cargo cart case catalogue channel chapter charge chart check claim class client clinic code coin collection comment
    commit company concert contact contract copy coupon course crate currency customer dataset deal delivery deposit desk device diary
    diet dish document donation door draft drawing driver drug duty engine episode essay estimate event exam exhibit expense experiment
    factory farm feature fee feed fence field film filter fine fish flag fleet floor flower folder forest form formula forum fountain
    freight fund game garage garden gift goal grade grant graph greeting group guide gym habit harbour heater herb hike hobby holiday
    horoscope hospital hotel house image index insurance interest interview inventory issue job journey kernel key kit lab label lake
    lamp laptop law layer lead lease lecture ledger lesson level library licence lift link loan lock log lottery machine magazine map
    market match meal measure medal medicine meeting member memo menu message metric mission mixture module monitor mortgage motor
    movie museum network newsletter note notice novel number office oil operator opinion orbit orchard order outlet oven package
    page painting panel parcel park partner passenger password patch patient pattern payment payroll pension permit pet phase photo
    picture pipeline pixel plan planet plant platform play playlist policy poll pond pool port portfolio post poster prescription
    printer prize process profile project promotion proof property proposal protocol puzzle quarter query question queue quiz quote race
    rail rating reading receipt recipe record refund region registry relay release report request reservation resource result
    review reward ride river road robot roof room route rule sale salary sample satellite scan schedule school score screen script
    sensor series service session setting shelf shift ship shop show signal site skill slot soil song sound species speed sponsor
    squad stage stamp statement station statistic storage store storm story street student studio study subscription summary supplier
    supply survey switch symbol system tag task tax team tenant test theatre theme tide timer title token tour toy track trade train
    translation transfer tree trial trip truck tunnel turbine tutorial unit update upload vaccine valve van vault vehicle vendor venue
    version video village visa visitor volume voucher vote wage wallet warehouse warranty waste watch wave weather wedding well wheel
    window wine winner wire word workout workshop yield zone""",
    )
)
ADJECTIVES = tuple(
    re.findall(
        r"\w+",
        """active annual average basic black blue bright broken busy central cheap clean clear closed cold common complete
    correct current daily dark deep digital direct dry early easy empty exact extra fair fast final fine first flat fresh full global
    golden good grand great green grey happy hard heavy high hot human internal joint keen large last late latest light little local long
    lost loud low lucky main major medical minor mobile modern monthly narrow national natural new next nice normal old online open
    orange other outer pink plain private public quick quiet rare raw ready real recent red remote rich rough round royal safe sharp
    short silent silver simple single slow small smart smooth soft solid special spare steady steep still strange strong sweet tall
    thin third tidy tiny total urban urgent usual vital warm weak weekly west wet white whole wide wild wooden yearly yellow young""",
    )
)
# Verbs with others that a user may say instead; the second group asks for something, the first changes something.
ACTS = (
    ("add", "put", "include"), ("append", "add"), ("apply", "use"), ("approve", "accept"), ("archive", "file away"), ("assign", "give"),
    ("attach", "add"), ("block", "stop"), ("book", "reserve"), ("build", "make"), ("buy", "purchase", "get"), ("call", "phone"),
    ("cancel", "call off", "drop"), ("change", "modify"), ("charge", "bill"), ("clean", "tidy"), ("clear", "empty"), ("close", "shut"),
    ("collect", "gather"), ("combine", "merge"), ("compress", "shrink"), ("confirm", "approve"), ("connect", "link"), ("copy", "duplicate"),
    ("create", "make", "set up", "add"), ("cut", "trim"), ("delete", "remove", "erase", "get rid of"), ("deliver", "bring"),
    ("deploy", "roll out"), ("disable", "turn off"), ("draw", "sketch"), ("edit", "change"), ("enable", "turn on"), ("enrol", "sign up"),
    ("export", "save"), ("fill", "complete"), ("fix", "repair"), ("forward", "pass on"), ("generate", "create", "make", "produce"),
    ("import", "load"), ("install", "set up"), ("invite", "ask"), ("issue", "hand out"), ("join", "enter"), ("launch", "start"),
    ("lock", "secure"), ("log", "record", "note"), ("mark", "flag"), ("merge", "join"), ("move", "shift"), ("mute", "silence"),
    ("open", "start"), ("order", "buy", "get me"), ("pack", "wrap"), ("pause", "hold"), ("pay", "settle"), ("place", "put"), ("plan", "prepare"),
    ("plant", "put in"), ("play", "start"), ("post", "publish"), ("print", "put on paper"), ("publish", "post", "release"), ("rate", "score"),
    ("record", "log", "write down"), ("refund", "pay back"), ("register", "sign up", "record"), ("reject", "refuse"), ("release", "ship"),
    ("remove", "delete", "take away"), ("rename", "call"), ("renew", "extend"), ("rent", "hire"), ("repair", "fix"), ("replace", "swap"),
    ("report", "flag"), ("reserve", "book"), ("reset", "restore"), ("resize", "scale"), ("restart", "reboot"), ("restore", "bring back"),
    ("resume", "continue"), ("run", "start", "execute"), ("save", "store", "keep"), ("schedule", "plan", "set up", "arrange"), ("sell", "offer"),
    ("send", "mail"), ("set", "change", "put"), ("share", "send"), ("ship", "send"), ("sort", "order"), ("split", "divide"),
    ("start", "begin", "launch"), ("stop", "end", "halt"), ("store", "save", "keep"), ("submit", "send in", "file"), ("switch", "change", "turn"),
    ("tag", "label"), ("track", "follow"), ("transfer", "move", "send"), ("unlock", "open"), ("update", "change", "refresh"),
    ("upload", "send"), ("vote", "cast a vote"), ("water", "sprinkle"), ("write", "compose", "draft"), ("zip", "pack"),
)  # fmt: skip
ASKS = (
    ("get", "give me", "fetch", "show me", "tell me"), ("find", "look up", "search for", "look for", "locate"), ("check", "look at", "inspect"),
    ("list", "show me", "give me", "show"), ("search", "look for", "find"), ("fetch", "get", "pull up", "bring me"), ("lookup", "look up", "find"),
    ("compute", "calculate", "work out"), ("calculate", "work out", "compute"), ("count", "tell me"), ("compare", "set side by side"),
    ("convert", "change", "turn"), ("read", "show me", "open"), ("show", "display", "let me see"), ("estimate", "guess", "work out"),
    ("predict", "forecast", "tell me"), ("query", "look up", "ask for"), ("retrieve", "get", "give me", "pull"), ("verify", "check", "confirm"),
    ("validate", "check", "verify"), ("describe", "explain", "tell me about"), ("translate", "put", "render"), ("measure", "take"),
    ("analyze", "look into", "examine"), ("view", "show me", "see"), ("load", "get", "open"), ("scan", "look through"), ("rank", "sort"),
)  # fmt: skip
WORDS = (*NOUNS, *ADJECTIVES, *ANIMALS, *PLANTS)
PROPER = (*CITIES, *COUNTRIES, *NAMES, *LANGUAGES)
COMMON = (*FOODS, *THINGS, *ANIMALS, *SUBJECTS, *JOBS, *PLANTS)


def invented(rng: random.Random) -> str:
    """A word that nobody knows."""
    if rng.random() < 0.15:
        return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(3, 7)))
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))))


def word(rng: random.Random) -> str:
    """Any word in small letters, often one that does not exist, so that nothing but copying writes it."""
    return invented(rng) if rng.random() < 0.4 else rng.choice(WORDS)


def proper(rng: random.Random) -> str:
    """A name of a place or person: one to three words with capitals."""
    draw = rng.random()
    if draw < 0.30:
        return rng.choice(PROPER).removeprefix("the ")
    if draw < 0.80:
        text = invented(rng).capitalize()
        while rng.random() < 0.3:
            text += " " + invented(rng).capitalize()
        if rng.random() < 0.12:
            text += rng.choice((f" {rng.randint(1, 40)}", f" & {invented(rng).capitalize()}", " Inc", " GmbH", f" {rng.choice('ABCDEF')}", f" of {invented(rng).capitalize()}"))
        return text
    return " ".join(w.capitalize() for w in (word(rng), *((word(rng),) if rng.random() < 0.6 else ())))


def phrase(rng: random.Random, least: int = 1, most: int = 5) -> str:
    """Some words in small letters."""
    return " ".join(word(rng) for _ in range(rng.randint(least, most)))


def plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
