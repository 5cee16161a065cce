(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const inks = () => dark.matches ? [[122,180,240],[38,42,47],[242,147,140]] : [[33,102,172],[255,255,255],[178,24,43]];
  const say = (value) => value === 0 ? "0 exactly" : Number.isFinite(value) ? value.toPrecision(4) : String(value);
  for (const root of document.querySelectorAll(".player")) {
    const data = JSON.parse(root.querySelector("script").textContent);
    const range = root.querySelector("input"), button = root.querySelector("button"), frame = root.querySelector(".frame");
    const panels = [...root.querySelectorAll(".panel")];
    const rows = data.side || data.inputs, columns = data.side || 8;
    const perRow = data.side ? Math.min(4, data.units) : data.units, down = Math.ceil(data.units / perRow);
    const levels = data.panels.map((panel) => Int8Array.from(atob(panel.weights), (byte) => byte.charCodeAt(0)));
    panels.forEach((panel) => {
      const canvas = panel.querySelector("canvas");
      canvas.width = perRow * (columns + 1) - 1;
      canvas.height = down * (rows + 1) - 1;
    });
    const draw = () => {
      const at = Number(range.value), [cold, none, warm] = inks(), words = [];
      data.panels.forEach((values, number) => {
        const panel = panels[number], canvas = panel.querySelector("canvas"), context = canvas.getContext("2d");
        context.clearRect(0, 0, canvas.width, canvas.height);
        const image = context.createImageData(columns, rows);
        for (let unit = 0; unit < data.units; unit++) {
          for (let pixel = 0; pixel < rows * columns; pixel++) {
            const input = data.side ? pixel : Math.floor(pixel / columns);
            const level = levels[number][(at * data.units + unit) * data.inputs + input] / 127;
            const ink = level < 0 ? cold : warm, share = Math.abs(level);
            for (let c = 0; c < 3; c++) image.data[4 * pixel + c] = none[c] + share * (ink[c] - none[c]);
            image.data[4 * pixel + 3] = 255;
          }
          context.putImageData(image, (unit % perRow) * (columns + 1), Math.floor(unit / perRow) * (rows + 1));
        }
        const loss = say(values.loss[at]), distance = say(values.distance[at]), title = panel.querySelector("h3").textContent;
        panel.querySelector(".loss").textContent = loss;
        panel.querySelector(".distance").textContent = distance;
        canvas.setAttribute("aria-label", `Incoming weights of ${data.units} hidden units, ${title}: distance ${distance}`);
        words.push(`${title}: loss ${loss}, distance ${distance}`);
      });
      frame.textContent = `${data.axis} ${data.frames[at]}`;
      range.setAttribute("aria-valuetext", `${frame.textContent}. ${words.join(". ")}`);
      for (const cursor of root.querySelectorAll(".cursor")) {
        const x = 300 * at / Math.max(1, data.frames.length - 1);
        cursor.setAttribute("x1", x);
        cursor.setAttribute("x2", x);
      }
    };
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
    button.onclick = () => {
      if (timer) return stop();
      if (range.value === range.max) range.value = 0;
      button.textContent = "Pause";
      timer = setInterval(() => { range.value = Number(range.value) + 1; draw(); if (range.value === range.max) stop(); }, 150);
      draw();
    };
    range.oninput = () => { stop(); draw(); };
    dark.addEventListener("change", draw);
    root.hidden = false;
    root.parentElement.classList.add("live");
    draw();
  }
})();
