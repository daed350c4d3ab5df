"""Everything else that people ask a language model, and the one honest answer to it."""

from __future__ import annotations

import random
import re

from oxillama.embedded.data.text.noise import careless, reworded
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import (
    ANIMALS,
    CITIES,
    COUNTRIES,
    FOODS,
    JOBS,
    LANGUAGES,
    PEOPLE,
    PLANTS,
    SUBJECTS,
    THINGS,
)
from oxillama.embedded.data.turns.offtopic_wordings import QUESTIONS as WRITTEN_QUESTIONS
from oxillama.embedded.data.turns.questions import capital, tidy

ANSWER = (
    "I am a small demonstration model: I know about oxillama and tell small stories. "
    "For anything else load a real model: oxillama serve --model FILE.gguf."
)
TOPICS: dict[str, tuple[str, ...]] = {
    "COUNTRY": COUNTRIES, "CITY": CITIES, "PERSON": PEOPLE, "SUBJECT": SUBJECTS, "FOOD": FOODS, "THING": THINGS,
    "ANIMAL": ANIMALS, "LANGUAGE": LANGUAGES, "JOB": JOBS, "PLANT": PLANTS,
}  # fmt: skip
QUESTIONS = (
    "{What is|What's|Name|Tell me} the {capital|population|currency|flag|president|king|largest city|area|history|anthem|language|climate|time zone|national dish} of COUNTRY{?|}",
    "{Who|When} {was|is} PERSON{| born|?}",
    "{What did|Why did|When did|How did} PERSON {do|write|invent|die|say|become famous|live|discover|paint}?",
    "{Tell me|Write something|What do you know} about {PERSON|SUBJECT|CITY|COUNTRY|the history of COUNTRY|THINGs|ANIMALs|PLANTs}{.|?}",
    "{Explain|Describe|What is|Define|Summarise the history of|Teach me|Give me an introduction to} {SUBJECT|SUBJECT|the theory of SUBJECT|the basics of SUBJECT}{.|?|}",
    "How {far|far away} is {CITY|COUNTRY|the moon|the sun|Mars} from {CITY|here|COUNTRY|earth}?",
    "{How|What} is the weather {in CITY|in COUNTRY|today|tomorrow|like today|outside}?",
    "{Will it|Does it} {rain|snow} {today|tomorrow|in CITY|in COUNTRY this week}?",
    "{How do I|How to|How can I|What is the best way to} {cook|bake|prepare|make|store|freeze|grill} {FOOD|good FOOD|FOOD at home}?",
    "{Give me|I need|Write|What is} a recipe for FOOD{.|?|}",
    "Is FOOD {healthy|good for me|fattening|vegan|safe for ANIMALs}?",
    "{Translate|Say|How do you say|What is} {'good morning'|'thank you'|'I love you'|this|'the house is red'|'THING'|'ANIMAL'} in{|to} LANGUAGE{?|.|}",
    "{Write|Give me|Show me|Implement|Create} {a|some|the} {Python|Java|C++|Rust|JavaScript|SQL|bash|Go|HTML} {code|function|program|script|query|class} {that sorts a list|for a website|to read a file|that computes primes|for SUBJECT|to reverse a string|for a game|that prints the time|to scrape a page}{.|}",
    "{How do I|How can I|Can you help me} {sort a list|reverse a string|open a file|write a loop|parse JSON|center a div|undo a commit|write a class|make a website|connect to a database|write a unit test|fix a segmentation fault|join two tables} in {Python|Java|C|Rust|JavaScript|SQL|bash|Go|CSS|git}?",
    "{What is wrong with|Fix|Debug|Review|Explain|Refactor} {my code|this code|this function|the following program|this script|my SQL query}{?|.|:}",
    "{Who|Which team} won {the world cup|the match|the election|the Nobel prize|the race|the Oscar|the game|the league} {in 1998|in 2014|yesterday|last year|in COUNTRY|in 2020|this year}?",
    "{What|Which} {happened|was important|was invented|war began} in {1492|1789|1914|1969|2001|the year 1066|the middle ages|COUNTRY last year|CITY yesterday}?",
    "{Why|How} {is|are|do|does|can} {the sky blue|the grass green|ANIMALs sleep|ANIMALs live so long|ANIMALs fly|planes fly|the sea salty|people dream|the moon shine|a THING work|volcanoes erupt|magnets work|we age|stars die|PLANTs grow|the earth turn|it snow in winter}?",
    "{What|How} {do|can|should} {ANIMALs|my ANIMAL|a ANIMAL|a baby|children|PLANTs} {eat|drink|need|sleep|like|live}?",
    "How {old|tall|fast|heavy|big|long|dangerous|clever|expensive} {is|are} {a ANIMAL|PERSON|the tower in CITY|a THING|the largest ANIMAL|the earth|ANIMALs|the universe|a good THING}?",
    "{How much|What} {does|costs} a {THING|house in CITY|flight to CITY|ticket to COUNTRY|JOB earn}{| cost}?",
    "{Write|Compose|Draft} {a|an|me a} {poem|essay|letter|email|song|speech|article|report|blog post|cover letter|review|haiku|novel|contract} {about|on} {SUBJECT|CITY|PERSON|ANIMALs|my boss|love|COUNTRY|winter|a JOB}{.|}",
    "{Recommend|Suggest|What is|Give me|Do you know} a {good|nice|cheap|famous} {book|film|restaurant|hotel|song|museum|game|series|podcast|beach} {in CITY|in COUNTRY|about SUBJECT|for tonight|about PERSON|for children}{?|.|}",
    "{Should I|Is it good to|Is it safe to|Can I} {buy a THING|travel to COUNTRY|invest in stocks|move to CITY|learn LANGUAGE|become a JOB|eat FOOD every day|study SUBJECT|marry|sell my house|take aspirin|drink coffee at night}?",
    "{I have|My child has|What helps against|What causes|How do I treat} {a headache|a cold|a fever|back pain|a toothache|a cough|an allergy|insomnia|a broken leg|high blood pressure}{.|?|}",
    "{What|Which} is {better|faster|larger|cheaper|older|more important}, {a ANIMAL or a ANIMAL|CITY or CITY|COUNTRY or COUNTRY|a THING or a THING|SUBJECT or SUBJECT|FOOD or FOOD}?",
    "{What|Who} {is|was} the {first|best|largest|smallest|richest|most famous|fastest|oldest|tallest} {JOB|ANIMAL|city|country|THING|man on the moon|person|planet|PLANT|river|mountain|king} {in the world|of COUNTRY|ever|in history|in COUNTRY|}?",
    "{How do I|How can I|How to|Tips to} {become a JOB|learn LANGUAGE|repair a THING|lose weight|find a job|sleep better|clean a THING|plan a trip to COUNTRY|train a ANIMAL|grow PLANTs|get rich|make friends|write a book|study for SUBJECT|quit smoking|tie a tie}{?|}",
    "{What is|Compute|Solve|Find|Calculate|Prove} the {derivative of x squared|integral of sin x|square root of 1764|sum of all primes|equation 3x + 7 = 22|limit of 1/n|determinant of a matrix|factorial of 20|area of a circle|theorem of Pythagoras|logarithm of 1000|probability of two sixes}{?|.|}",
    "{What|Which} day is it{| today}?|What time is it{| in CITY| now}?|What is the date{| today}?|{Which|What} year is {it|this}?",
    "{What is|What's} {the news|new today|the stock price of Apple|the price of gold|the meaning of life|happening in COUNTRY|on TV tonight|my name|my IP address|my birthday|the speed of light|the best religion|love|the bitcoin price|in my fridge}?",
    "{Summarise|Explain|Analyse|Who wrote|Quote|What happens in} {Hamlet|the Bible|Faust|Don Quixote|Moby Dick|the Odyssey|War and Peace|Harry Potter|the Iliad|1984|Macbeth|Star Wars|The Lord of the Rings}{?|.|}",
    "{Play|Let us play|Do you play|Can you play} {chess|a game|music|football|cards|poker|a song|tic-tac-toe|hangman}{.|?| with me?|}",
    "{Do you|Can you|Will you} {think|dream|sleep|feel pain|have feelings|vote|love|believe in God|know SUBJECT|remember PERSON|like FOOD|have a ANIMAL|want a THING}?",
    "{Set|Start|Make|Create|Book|Order|Buy|Call|Send|Delete|Open} {a timer for ten minutes|an alarm for seven|an appointment|a flight to CITY|a table for two|a pizza|my mother|an email to my boss|a reminder|a taxi|my files|the window|a THING for me|a hotel in CITY}{.|, please.|}",
    "{Act as|Pretend to be|You are now|Imagine you are|Answer like} {a JOB|PERSON|a ANIMAL|a pirate|a Linux terminal|my grandmother|an expert in SUBJECT|a king}{.|}",
    "{Compare|What is the difference between} {SUBJECT and SUBJECT|a ANIMAL and a ANIMAL|COUNTRY and COUNTRY|Linux and Windows|Python and Java|a THING and a THING|TCP and UDP|SQL and NoSQL|CITY and CITY|PERSON and PERSON}{?|.|}",
    "{How does|What is|Explain|How do I use|How do I install|Tell me about} {Docker|Kubernetes|Excel|Photoshop|Windows|the iPhone|blockchain|PostgreSQL|React|WordPress|Instagram|Django|an operating system|a compiler|vim|Git|the internet|Redis|Ansible|Linux|MySQL}{?|}",
    "{What|How} {do you think|is your opinion} {about|of|on} {PERSON|SUBJECT|COUNTRY|politics|the war|the government|FOOD|ANIMALs|taxes|climate change}?",
    "{Where|When} {is|was|can I see|can I buy} {CITY|COUNTRY|a THING|PERSON|the nearest station|my phone|the toilet|FOOD|the Titanic|ANIMALs|the eclipse|Christmas|Easter|my keys|the airport of CITY}?",
    "{I am|I'm|I feel} {sad|lonely|bored|angry|tired|hungry|in love|afraid|lost|sick|stressed|unhappy}{.|, what should I do?| today.|. Help me.}",
    "{My|Our|His|Her} {boss|wife|husband|dog|car|neighbour|landlord|phone|computer|printer|washing machine|bank|teacher|son} {is angry|does not work|is broken|is too loud|left me|is ill|stopped working|wants money|never listens}. {What should I do?|What now?|Help!|Why?|}",
    "{SUBJECT|PERSON|CITY|COUNTRY|FOOD|ANIMALs|THING|PLANTs}{|?}",
)  # fmt: skip


WRITTEN = 0.4  # the share of questions written out; the others come from the templates above
INVENTED = 0.12  # the share of words that mean nothing: what it does not know is off topic
_SYLLABLES = tuple(
    re.findall(
        r"\w+",
        "ba be bo bra cal cha co dan de dor el en fa fel fri ga gon gra ha hel il ka kor la len lo lu ma mel mi mor na nel no "
        "or pa pel pra qui ra rin ro sa sel sha so sta ta tel tho tra ul va ven vi wa wel xan ya zo zul",
    )
)


def invented(rng: random.Random) -> str:
    """A word that nobody knows."""
    word = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4)))
    return word.capitalize() if rng.random() < 0.5 else word


def sample(rng: random.Random) -> tuple[str, str]:
    """A question about anything, and the answer."""
    if rng.random() < WRITTEN:
        text = expand(rng.choice(WRITTEN_QUESTIONS), rng)
        text = capital(text) + "?" * (rng.random() < 0.6) if rng.random() < 0.6 else text
    else:
        text = expand(rng.choice(QUESTIONS), rng)
        for topic, words in TOPICS.items():
            while topic in text:
                text = text.replace(topic, invented(rng) if rng.random() < INVENTED else rng.choice(words), 1)
        text = capital(text)
    return careless(reworded(tidy(text), rng), rng), ANSWER
