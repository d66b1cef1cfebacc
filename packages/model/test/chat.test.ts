import { assert, describe, it } from "vitest"
import { chatTemplate, chatTemplateSource, strftime } from "../src/chat.ts"
import { TemplateError } from "../src/TokenizerError.ts"
import { tokenizerFromGguf } from "../src/tokenizers/gguf.ts"
import { tokenizerFromJson } from "../src/tokenizers/json.ts"
import { asGguf, fixture, metadataOf } from "./tokenizerFixtures.ts"

const messages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "  Hi {{ there }} " },
  { role: "assistant", content: "Hello" }
] as const

const failure = (run: () => unknown): TemplateError => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, TemplateError)
    return error
  }
  throw new Error("nothing was thrown")
}

describe("chatTemplate", () => {
  // the layout of Llama 2's template: nested conditions, slices, filters and blocks on lines of their own
  const llama = `
{%- if messages[0]['role'] == 'system' -%}
  {%- set system = messages[0]['content'] -%}{%- set rest = messages[1:] -%}
{%- else -%}
  {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('Roles must alternate') }}
  {%- endif -%}
  {%- if message['role'] == 'user' -%}
    {{ bos_token + '[INST] ' + (('<<SYS>>' + system + '<</SYS>> ') if loop.first and system else '') + message['content'] | trim + ' [/INST]' }}
  {%- else -%}
    {{ ' ' + message['content'] + ' ' + eos_token }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %} >{% endif -%}`
  const render = chatTemplate("m", llama, { bos_token: "<s>", eos_token: "</s>" })

  it("renders", () => {
    const text = "<s>[INST] <<SYS>>Be brief.<</SYS>> Hi {{ there }} [/INST] Hello </s>"
    assert.strictEqual(render(messages), `${text} >`)
    assert.strictEqual(render(messages, { addGenerationPrompt: false }), text)
  })

  it("treats lines and absent tools as transformers does", () => {
    const lines = `{% for message in messages %}
    {% if message.role == 'user' and tools is none %}
<u>{{ message.content }}</u>
    {% else %}
{{ message.role | upper }}: {{ message['content'][:3] }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
A:
{% endif %}
`
    const text = chatTemplate("m", lines, {})(messages.slice(1))
    // what jinja2 3.1.6 gives with trim_blocks and lstrip_blocks
    assert.strictEqual(text, "<u>  Hi {{ there }} </u>\nASSISTANT: Hel\nA:\n")
  })

  it("refuses as the template does", () => {
    const error = failure(() => render([{ role: "assistant", content: "x" }]))
    assert.strictEqual(error.reason, "refused")
    assert.include(error.message, "Roles must alternate")
  })

  it("says that a template is broken, when it is used", () => {
    const broken = chatTemplate("m", "{% for %}", {})
    assert.strictEqual(failure(() => broken([])).reason, "invalid")
    assert.strictEqual(failure(() => chatTemplate("m", "{{ 'x' | no_such_filter }}", {})([])).reason, "invalid")
  })

  it("stops a template that would loop for ever", () => {
    const error = failure(() => chatTemplate("m", "{% for i in range(1000000000000) %}x{% endfor %}", {})([]))
    assert.include(error.message, "at most 100000")
    const text = chatTemplate("m", "{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}", {})([])
    assert.strictEqual(text, "321")
  })

  it("tells the date", () => {
    const text = chatTemplate("m", "{{ strftime_now('%Y-%m-%d') }}", {})([])
    assert.match(text, /^\d{4}-\d\d-\d\d$/)
  })
})

describe("strftime", () => {
  it("formats as Python does", () => {
    const date = new Date(2024, 6, 4, 15, 7, 9)
    assert.strictEqual(strftime(date, "%d %b %Y, %A %B %e"), "04 Jul 2024, Thursday July  4")
    assert.strictEqual(strftime(date, "%H:%M:%S %I %p %y %a %j %% %Q"), "15:07:09 03 PM 24 Thu 186 % %Q")
  })
})

describe("sources of templates", () => {
  it("are a string, or the default of a list", () => {
    assert.strictEqual(chatTemplateSource("x"), "x")
    const list = [
      { name: "tool_use", template: "t" },
      { name: "default", template: "d" }
    ]
    assert.strictEqual(chatTemplateSource(list), "d")
    assert.strictEqual(chatTemplateSource(list.slice(0, 1)), "t")
    for (const nothing of [undefined, null, 3, [], [{}], {}]) assert.isUndefined(chatTemplateSource(nothing))
  })

  it("are found in the configuration, in a file of their own, and in GGUF metadata", () => {
    const template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    const { tokenizer } = fixture("gpt-2")
    const config = { chat_template: template, bos_token: "<s>", eos_token: "</s>" }
    const chat = [{ role: "user", content: "x" }]
    assert.strictEqual(tokenizerFromJson({ file: "m", tokenizer, config }).chat(chat), "<s>x</s>")
    assert.strictEqual(tokenizerFromJson({ file: "m", tokenizer, config, template: "other" }).chat(chat), "other")
    const metadata = metadataOf({ ...asGguf(fixture("gpt-2")), "tokenizer.chat_template": template })
    const fromGguf = tokenizerFromGguf("m", metadata)
    assert.isTrue(fromGguf.hasChatTemplate)
    assert.strictEqual(fromGguf.chat(chat), "<s>x</s>")
    assert.strictEqual(failure(() => tokenizerFromJson({ file: "m", tokenizer }).chat(chat)).reason, "missing")
  })
})
