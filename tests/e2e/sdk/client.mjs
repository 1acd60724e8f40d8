// Runs beside a server: what OpenAI's JavaScript client, as npm has it, gets from it; as JSON on stdout.
import OpenAI from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "Who are you?" }];
const model = (await client.models.list()).data[0].id;
const whole = (await client.chat.completions.create({ model, messages })).choices[0];
const choices = [];
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  choices.push(...chunk.choices);
}
const text = await client.completions.create({ model, prompt: "Hi", max_tokens: 64 });
console.log(
  JSON.stringify({
    whole: [whole.message.content, whole.finish_reason],
    pieces: choices.map((choice) => choice.delta.content).filter(Boolean),
    end: choices.at(-1).finish_reason,
    completion: text.choices[0].text,
  }),
);
