// The Vercel AI SDK: tools in several steps, streamed too, and an object of a schema.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "oxillama", baseURL: `${process.argv[2]}/v1`, apiKey: "none", supportsStructuredOutputs: true,
});
const model = provider("scripted");
const tools = {
  weather: tool({
    description: "The weather of a city, in degrees Celsius.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (city === "Paris" ? "21.375" : "unknown"),
  }),
  fahrenheit: tool({
    description: "Degrees Celsius as degrees Fahrenheit.",
    inputSchema: z.object({ celsius: z.number() }),
    execute: async ({ celsius }) => (celsius === 21.375 ? "70.475" : "unknown"),
  }),
};
const asked = { model, tools, prompt: "How warm is it in Paris, in Fahrenheit?", stopWhen: stepCountIs(5) };

function check(name, holds, seen) {
  if (!holds) throw new Error(`${name}: ${JSON.stringify(seen)}`);
  console.log("ok", name);
}

const { text } = await generateText(asked);
check("generateText", text.includes("70.475"), text);
const streamed = await streamText(asked).text;
check("streamText", streamed.includes("70.475"), streamed);
const { object } = await generateObject({
  model, prompt: "Describe Paris as a city.", schema: z.object({ name: z.string(), population: z.number() }),
});
check("generateObject", object.name === "Paris" && object.population === 2102650, object);
