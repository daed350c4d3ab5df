"""Little stories: somebody wants something, something is in the way, a friend or an idea helps, and all ends well."""

from __future__ import annotations

import random
from dataclasses import dataclass

from oxillama.embedded.data.text.noise import careless
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import GIRLS, NAMES, with_article

HEROES = ("fox", "owl", "mouse", "bear", "rabbit", "hedgehog", "frog", "cat", "dog", "crow", "snail", "otter", "robot", "dragon", "whale", "bee", "turtle", "goat", "sparrow", "squirrel")
TRAITS = ("little", "old", "shy", "clever", "curious", "brave", "sleepy", "hungry", "patient", "clumsy", "proud", "quiet")
PLACES = ("in a forest", "by the sea", "on a hill", "near a small village", "in an old mill", "under a bridge",
          "beside a slow river", "in a garden", "at the edge of a desert", "in a lighthouse", "on a tiny island")  # fmt: skip
HELPERS = ("an old owl", "a friendly bee", "a tired traveller", "the moon", "a small girl", "a wise turtle", "the baker",
           "a lonely giant", "a blue bird", "the wind", "a very small ant", "the keeper of the lighthouse")  # fmt: skip
# what is wanted; why it is hard; what the helper says; what is done; what comes of it
PLOTS = (
    ("to see the sea", "the way was long and full of stones", "Follow the river, it knows the way", "followed the river for three days", "the sea lay there, wide and silver"),
    ("to catch a star", "the stars were much too high", "Look into the pond tonight", "looked into the dark pond", "a hundred stars were shining in the water"),
    ("to find a lost key", "it was dark and the grass was tall", "Do not look, listen", "shook the grass and listened", "the key rang like a tiny bell"),
    ("to sing in front of everybody", "the voice was so small", "Sing for one, not for all", "sang for one friend only", "everybody came closer to hear"),
    ("to bake a cake", "there was no flour left", "Ask, and bring a cup", "went from door to door with a cup", "each neighbour gave a spoonful, and the cake was large enough for all"),
    ("to cross the river", "the bridge was broken", "Many small stones are a bridge too", "laid one stone after the other", "by the evening there was a new way across"),
    ("to sleep", "the wind was howling", "Ask the wind what it wants", "opened the window and asked", "the wind only wanted a song, and then it was still"),
    ("to have a friend", "nobody ever came by", "Make a fire, and they will see the light", "lit a fire on the hill", "somebody knocked at the door that very night"),
    ("to fly", "there were no wings", "There are many ways to fly", "built a swing under the tallest tree", "it felt just like flying, only with a way home"),
    ("to win the race", "the others were so quick", "Go your own way, and do not stop", "walked on while the others rested", "the finish was reached before the sun had set"),
    ("to find the end of the rainbow", "it moved away at each step", "Stand still, and look around", "stood still at last", "the whole valley was full of colours"),
    ("to keep a secret", "it was a very big secret", "Tell it to a tree", "whispered it into a hollow tree", "the secret was safe, and every spring the tree bloomed a little earlier"),
    ("to mend the old clock", "one wheel was missing", "What is lost is often very near", "looked under the carpet", "there lay the wheel, and the clock began to tick"),
    ("to grow the largest pumpkin", "it would not rain", "The well is deep, but it is not dry", "carried water every morning", "the pumpkin grew until it was as large as a house"),
)  # fmt: skip
ENDINGS = ("From that day on {it|she|he} was never {afraid|alone|sad} again.", "And if you go there today, you may still see it.",
           "That night {it|she|he} slept better than ever before.", "And they are friends to this day.",
           "{It|She|He} told the story to everybody who would listen.", "And that is how it was, not a word more.",
           "Since then, a small light burns there every evening.")  # fmt: skip
BEGINNINGS = ("Once upon a time", "Long ago", "One day", "Many years ago", "Not so long ago")
REQUESTS = (
    "{Tell|Write|Give} me a {|short |little |small |nice |new |bedtime |sweet }story{.|!|, please.|}",
    "{Can|Could|Will|Would} you tell me a {|short |little |bedtime |nice }story?",
    "{I want|I would like|I'd like|Let me hear|Please tell me} a {|short |little |bedtime }story{.|}",
    "{A story|Story|Another story|Story time|One more story}{, please.|!|.|}",
    "{Once upon a time|Make up a story|Invent a story|Entertain me|Do you know a story|Tell a tale}{.|?|}",
)
REQUESTS_ABOUT = (
    "{Tell|Write|Give} me a {|short |little |small |nice |bedtime |funny }story about a H{.|!|, please.|}",
    "{Can|Could|Would} you {tell|write|make up} a {|short |little |bedtime }story about {a H|a T H|a H called N}?",
    "{Write|Tell|Invent|Make up|I want|Please tell me} a {story|tale|fairy tale|short story|bedtime story} {about|with|of} {a H|a T H|a H called N|a H named N}{.|}",
    "{A|One} story {about|with} a {H|T H}{, please.|!|.|}",
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who the story is about."""

    hero: str
    trait: str
    name: str


def story(cast: Cast, rng: random.Random) -> str:
    """The text, of five to seven sentences."""
    wish, trouble, advice, deed, outcome = rng.choice(PLOTS)
    pronoun = "she" if cast.name in GIRLS else "he"
    helper = rng.choice(HELPERS)
    lines = [
        f"{rng.choice(BEGINNINGS)} there was {with_article(cast.trait)} {cast.hero} called {cast.name}, who lived {rng.choice(PLACES)}.",
        f"More than anything {cast.name} wanted {wish}, but {trouble}.",
    ]
    if rng.random() < 0.4:
        lines.append(rng.choice((f"{cast.name} tried once, and twice, and then sat down and sighed.",
                                 f'"It cannot be done," thought {cast.name}.',
                                 f"For a week {pronoun} thought of nothing else.")))  # fmt: skip
    lines.append(f'Then {helper} came by and said: "{advice}."')
    lines.append(f"So {cast.name} {deed}, and {outcome}.")
    ending = rng.choice(ENDINGS)
    ending = ending.replace("{it|she|he}", pronoun).replace("{It|She|He}", pronoun.capitalize())
    lines.append(expand(ending, rng))
    return " ".join(lines)


def sample(rng: random.Random) -> tuple[str, str]:
    """A request and a story that keeps to it."""
    cast = Cast(rng.choice(HEROES), rng.choice(TRAITS), rng.choice(NAMES))
    if rng.random() < 0.35:
        return careless(expand(rng.choice(REQUESTS), rng), rng), story(cast, rng)
    asked = expand(rng.choice(REQUESTS_ABOUT), rng)
    if cast.trait[0] in "aeiou":
        asked = asked.replace("a T", "an T")
    if cast.hero[0] in "aeiou":
        asked = asked.replace("a H", "an H")
    for mark, word in ((" T", " " + cast.trait), (" H", " " + cast.hero), (" N", " " + cast.name)):
        asked = asked.replace(mark, word, 1)
    return careless(asked, rng), story(cast, rng)
