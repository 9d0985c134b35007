// What the pens of the page share: strokes of a pointer on a canvas, and sending only what is newest.

// `begin` returns the stroke that begins, with no points yet; `redraw` and `end` are called as it grows and ends.
export function follow(canvas, begin, redraw, end) {
  let stroke = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = begin();
    stroke.points = [at(event)];
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) stroke.points.push(at(each));
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { if (stroke) { stroke = null; end(); } });
}

// One is on its way at a time, while the part of the page is `sending`; what comes meanwhile is sent after it, only as it is then.
export function latest(part, send) {
  let stale = false;
  return async () => {
    if (part.sending) { stale = true; return; }
    part.sending = true;
    do {
      stale = false;
      await send();
    } while (stale);
    part.sending = false;
  };
}
