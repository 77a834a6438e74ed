// A field to draw into, black on white, for models that take pictures.

import { h } from "./dom.js";

const SIZE = 168;

/** Return the element; `onDrawn` gets a PNG after each stroke. */
export function drawingField(onDrawn) {
  const canvas = h("canvas", {
    width: SIZE,
    height: SIZE,
    class: "draw",
    "aria-label": "Draw here with a pointer; or choose a file",
  });
  const pen = canvas.getContext("2d");
  const clear = () => {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, SIZE, SIZE);
    Object.assign(pen, { lineWidth: 13, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  };
  const place = (event) => [(event.offsetX * SIZE) / canvas.clientWidth, (event.offsetY * SIZE) / canvas.clientHeight];
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    pen.lineTo(...place(event));
    pen.stroke();
  });
  canvas.addEventListener("pointerup", () =>
    canvas.toBlob((blob) => onDrawn(new File([blob], "drawing.png", { type: "image/png" }))),
  );
  clear();
  return h(
    "div",
    { class: "draw-field" },
    canvas,
    h("button", { type: "button", class: "small", click: clear }, "Clear"),
  );
}
