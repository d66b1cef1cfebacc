/** A tokenizer with a chat template: messages become the text that a model was trained on, and that becomes ids. */
import { readFileSync } from "node:fs"
import { TemplateError, tokenizerFromJson } from "@swarm/model"

const tokenizer = tokenizerFromJson({
  file: "example",
  tokenizer: JSON.parse(readFileSync(new URL("../packages/model/models/tiny/tokenizer.json", import.meta.url), "utf8")),
  config: { bos_token: "<s>", eos_token: "</s>" },
  template:
    "{% for m in messages %}{% if loop.first and m.role == 'assistant' %}" +
    "{{ raise_exception('a chat does not begin with an answer') }}{% endif %}" +
    "{{ m.role }}: {{ m.content | trim }}{{ eos_token }}{% endfor %}" +
    "{% if add_generation_prompt %}assistant:{% endif %}"
})
const question = { role: "user", content: " Where is the owl? " }

const text = tokenizer.chat([question])
console.log(text)
// templates write the beginning of a text themselves: no BOS is added
const ids = tokenizer.encode(text, { special: false })
console.log(`${ids.length} ids, which decode to the same text: ${tokenizer.decode(ids, { special: true }) === text}`)
console.log(`the end of a turn is one of them: ${tokenizer.eos.some((id) => ids.includes(id))}`)
try {
  tokenizer.chat([{ role: "assistant", content: "In the tree." }, question])
} catch (error) {
  if (error instanceof TemplateError) console.log(`${error.reason}: ${error.message}`)
}
// prints: user: Where is the owl?</s>assistant:
// 18 ids, which decode to the same text: true
// the end of a turn is one of them: true
// refused: Cannot render a chat with the template of "example": a chat does not begin with an answer
