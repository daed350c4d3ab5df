// What an empty conversation shows: what kind of model this is, and something to ask it.

import { byId, el } from "../lib/dom.js";

const DEMONSTRATION = {
  note:
    "This is the demonstration model that comes with oxillama. It knows a little about oxillama and tells small " +
    "stories, and it is often wrong. For a real model, start the server with --model FILE.gguf.",
  examples: [
    ["Load a model of my own", "How do I load a GGUF file?"],
    ["Listen to a story", "Tell me a little story."],
    ["Keep strangers out", "How do I set an API key?"],
    ["Make a model smaller", "How do I make a model smaller?"],
  ],
};
const USUAL = {
  note: "Answers are computed by this server itself. Nothing is sent anywhere else.",
  examples: [
    ["Explain something", "Why is the sky blue? Explain it in three sentences."],
    ["Write a message", "Write a short, friendly note that declines an invitation to dinner."],
    ["Write some code", "Write a Python function that finds the longest word in a text."],
    ["Make a plan", "Plan a day in a city that I have never been to, hour by hour."],
  ],
};
const BASE = {
  note:
    "This model has no chat template: it was not made for conversations, and may go on with your text rather than " +
    "answer it.",
  examples: [["Begin a story", "Once upon a time, there was a lighthouse"]],
};

/** Show what suits the model; `take(text)` when an example is chosen. */
export function showWelcome({ demonstration, chat_template: hasTemplate }, take) {
  const { note, examples } = demonstration ? DEMONSTRATION : hasTemplate ? USUAL : BASE;
  byId("welcome-note").textContent = note;
  const items = examples.map(([title, text]) => {
    const button = el("button", { type: "button", onclick: () => take(text) });
    button.append(el("b", {}, title), el("span", {}, text));
    return el("li", {}, button);
  });
  byId("examples").replaceChildren(...items);
}
