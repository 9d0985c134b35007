// What the parts of the page share: elements, requests, and the name of this page.

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export async function key() {
  for (;;) {
    const found = document.querySelector("[data-session]");
    if (found) return found.dataset.session;
    await pause(50);
  }
}

export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The server's sentence, or one for a server that is not there.
export async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; see whether `pixlate web` still runs, and load the page again.");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let sentence = text;
  try {
    sentence = JSON.parse(text).error || text;
  } catch {}
  throw new Error(sentence);
}
