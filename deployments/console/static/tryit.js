// One request to a model: a picture or file, a text, or JSON, made from the model's signature and example.

import { dataUrl, showAnswer, showFailure } from "./answer.js";
import { post, token } from "./api.js";
import { copied, h, replace } from "./dom.js";
import { drawingField } from "./draw.js";
import { inferBody, predictBody, pretty } from "./examples.js";
import { snippets } from "./snippets.js";

const MODES = { image: ["picture", "json"], file: ["picture", "json"], bytes: ["text", "json"], json: ["json"] };
const NAMES = { picture: "Picture or file", text: "Text", json: "JSON" };
const BODIES = { infer: inferBody, predict: predictBody };

export class TryIt {
  constructor(metadata) {
    this.metadata = metadata;
    this.file = null;
    const modes = MODES[metadata.properties.predict_takes] ?? MODES.json;
    this.mode = modes[0];
    this.fields = { picture: this.pictureField(), text: this.textField(), json: this.jsonField() };
    this.answer = h(
      "div",
      { class: "outcome", role: "status", "aria-live": "polite" },
      h("p", { class: "hint" }, "The answer, and where its time went, come here."),
    );
    this.code = h("div", { class: "code" });
    this.language = "curl";
    this.input = h("div", { class: "field" });
    const choices = modes.map((mode) =>
      this.choice("mode", mode, NAMES[mode], mode === this.mode, () => this.setMode(mode)),
    );
    this.send = h("button", { type: "submit", class: "primary" }, "Send");
    const form = h(
      "form",
      {
        submit: (event) => this.submit(event),
        keydown: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.submit(event),
      },
      modes.length > 1 ? h("fieldset", { class: "choices" }, h("legend", {}, "What"), choices) : null,
      this.input,
      h("div", { class: "row" }, this.send, h("span", { class: "hint" }, "or Ctrl + Enter")),
    );
    this.element = h(
      "section",
      { class: "panel", id: "try" },
      h("h3", {}, "Try it"),
      h("div", { class: "two" }, h("div", {}, form), this.answer),
      h("h4", {}, "The same call from elsewhere"),
      this.code,
    );
    this.setMode(this.mode);
  }

  setMode(mode) {
    this.mode = mode;
    replace(this.input, this.fields[mode]);
    this.drawCode();
  }

  choice(group, value, label, checked, change) {
    return h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: `${group}-${this.metadata.name}`, value, checked, change }),
      label,
    );
  }

  pictureField() {
    this.preview = h("div", { class: "preview" });
    const take = (files) => files.length && this.take(files[0]);
    const input = h("input", { type: "file", "data-file": true, change: (event) => take(event.target.files) });
    const drop = h(
      "label",
      { class: "drop" },
      h("span", {}, "Drop a picture or file here, or choose one"),
      input,
      this.preview,
    );
    for (const name of ["dragover", "dragenter"])
      drop.addEventListener(name, (event) => (event.preventDefault(), drop.classList.add("over")));
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      take(event.dataTransfer.files);
    });
    return h(
      "div",
      { class: "pictures" },
      drop,
      h(
        "div",
        {},
        h("span", { class: "hint" }, "or draw one"),
        drawingField((file) => this.take(file, true)),
      ),
    );
  }

  async take(file, send = false) {
    this.file = file;
    const shown = file.type.startsWith("image/") ? h("img", { src: await dataUrl(file), alt: "" }) : null;
    replace(this.preview, shown, h("span", {}, file.name));
    this.drawCode();
    if (send) this.submit();
  }

  textField() {
    this.text = h("textarea", { rows: 5, "aria-label": "Text to send", input: () => this.drawCode() });
    this.text.value = "Write a text here.";
    return this.text;
  }

  jsonField() {
    this.path = "infer";
    this.json = h("textarea", {
      rows: 12,
      spellcheck: "false",
      class: "mono",
      "aria-label": "JSON to send",
      "data-json": true,
      input: () => this.drawCode(),
    });
    const fill = () => {
      const body = BODIES[this.path](this.metadata);
      this.json.value = body ? pretty(body) : "";
      this.json.placeholder = "An input of this model has too many numbers to write here: send it from a program.";
    };
    const choose = (path) => () => {
      this.path = path;
      fill();
      this.drawCode();
    };
    fill();
    const choices = [
      this.choice("path", "infer", "/infer, the Open Inference Protocol", true, choose("infer")),
      this.choice("path", "predict", "/predict, plain JSON", false, choose("predict")),
    ];
    return h("div", {}, h("fieldset", { class: "choices" }, h("legend", {}, "As"), choices), this.json);
  }

  /** Return the call of the form as it is now; `body` is null where there is nothing to send yet. */
  call() {
    const at = (path) => `${location.origin}/v2/models/${this.metadata.name}/${path}`;
    if (this.mode === "picture") {
      const contentType = this.file?.type || "application/octet-stream";
      return { url: at("predict"), contentType, file: this.file?.name ?? "picture.png", body: this.file };
    }
    if (this.mode === "text")
      return { url: at("predict"), contentType: "text/plain", text: this.text.value, body: this.text.value };
    return { url: at(this.path), contentType: "application/json", text: this.json.value, body: this.json.value };
  }

  drawCode() {
    const found = snippets(this.call(), Boolean(token()));
    const shown = h("pre", { tabindex: "0" }, found[this.language]);
    const tabs = ["curl", "Python", "JavaScript"].map((name) =>
      this.choice(
        "language",
        name,
        name,
        name === this.language,
        () => ((this.language = name), replace(shown, found[name])),
      ),
    );
    const copy = h("button", { type: "button", class: "small", click: () => copied(copy, shown.textContent) }, "Copy");
    replace(
      this.code,
      h("fieldset", { class: "choices" }, h("legend", { class: "hidden" }, "Language"), tabs, copy),
      shown,
      found.note ? h("p", { class: "hint" }, found.note) : null,
    );
  }

  async submit(event) {
    event?.preventDefault();
    const call = this.call();
    if (call.body === null) {
      showFailure(this.answer, new Error("Choose a file first, or draw a picture."));
      return;
    }
    this.send.disabled = true;
    try {
      await showAnswer(this.answer, await post(call.url, call.body, call.contentType));
    } catch (error) {
      showFailure(this.answer, error);
    } finally {
      this.send.disabled = false;
    }
  }
}
