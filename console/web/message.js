// What is pasted goes to the switch's own process and the answer is shown: there
// is no other state, and nothing is kept.

const $ = (id) => document.getElementById(id);

async function ask(path, paste) {
  const r = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(paste),
  });
  if (!r.ok) return { refused: await r.text() };
  return r.json();
}

async function run(button, path, paste, show) {
  button.disabled = true;
  try {
    const answer = await ask(path, paste);
    $("refused").textContent = answer.refused ?? "";
    show(answer);
  } catch {
    $("refused").textContent = "与交换机的连接已断开 · connection to the switch lost";
  } finally {
    button.disabled = false;
  }
}

// The JSON of a message without its drawing is what a person edits.
function sheet(message) {
  const { parts, why, text, transaction, ...rest } = message;
  return JSON.stringify(rest, null, 2);
}

$("decode").addEventListener("click", () =>
  run($("decode"), "/api/decode", { text: $("hex").value, dialect: $("dialect").value, framing: $("framing").value }, (a) => {
    $("drawing").textContent = a.drawing ?? "";
    if (a.message) $("json").value = sheet(a.message);
  }),
);

$("encode").addEventListener("click", () =>
  run($("encode"), "/api/encode", { text: $("json").value }, (a) => {
    if (a.hex) $("hex").value = a.hex;
    $("drawing").textContent = a.hex ?? "";
  }),
);
