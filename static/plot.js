// The plots of lag and of waits, drawn by uPlot. New samples come with a live
// region, "lag-now" unless the figure names another, and are appended to the lines.
"use strict";
window.changeover.plot = (figure) => {
  let data = JSON.parse(figure.dataset.plot);
  const token = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  };
  const dashes = [[], [4, 3], [1, 3], [6, 2]];
  const inks = ["accent", "mark", "ok", "edge"];
  const compact = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

  function label(v) {
    if (v == null) return "";
    if (data.unit === "bytes") {
      const units = ["bytes", "kB", "MB", "GB", "TB"];
      let i = 0;
      while (v >= 1024 && i < 4) { v /= 1024; i++; }
      return `${compact.format(v)} ${units[i]}`;
    }
    if (data.unit === "ms") return `${compact.format(v)} ms`;
    if (data.unit === "seconds") return `${compact.format(v)} s`;
    return compact.format(v);
  }

  // All series on one time axis: null is a gap (unknown), a moment at which only
  // another series has a sample is bridged.
  function aligned() {
    const tables = data.series.map((s) => [s.at, s[data.unit]]);
    if (!tables.length) return [[]];
    return uPlot.join(tables);
  }

  let plot = null;
  function draw() {
    if (plot) plot.destroy();
    const ink3 = token("ink-3"), line = token("line"), warn = token("warn"), ink = token("ink"), band = token("band");
    const axis = { stroke: ink3, font: "12px " + getComputedStyle(document.body).fontFamily, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const marks = (u) => {
      const ctx = u.ctx, ratio = devicePixelRatio;
      ctx.save();
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.font = `600 ${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
      if (data.unit === "commits") {
        const y = u.valToPos(data.line, "y", true);
        ctx.strokeStyle = band;
        ctx.lineWidth = 1.25 * ratio;
        ctx.setLineDash([4 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(u.bbox.left, y);
        ctx.lineTo(u.bbox.left + u.bbox.width, y);
        ctx.stroke();
        ctx.fillStyle = warn;
        ctx.fillText(`${data.line} commits: caught up at or below`, u.bbox.left + 6 * ratio, y - 6 * ratio);
      }
      ctx.setLineDash([]);
      for (const s of data.switches) {
        const x = u.valToPos(s.at, "x", true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
        ctx.strokeStyle = ink;
        ctx.lineWidth = ratio;
        ctx.beginPath();
        ctx.moveTo(x, u.bbox.top - 8 * ratio);
        ctx.lineTo(x, u.bbox.top + u.bbox.height);
        ctx.stroke();
        ctx.fillStyle = ink;
        ctx.fillRect(x, u.bbox.top - 8 * ratio, 6 * ratio, 6 * ratio);
        const words = s.words;
        const late = x + 10 * ratio + ctx.measureText(words).width > ctx.canvas.width;
        ctx.textAlign = late ? "right" : "left";
        ctx.fillText(words, late ? x - 5 * ratio : x + 10 * ratio, u.bbox.top - ratio);
      }
      ctx.restore();
    };
    const least = data.unit === "commits" ? data.line * 1.5 : data.unit === "bytes" ? 1048576 : data.unit === "ms" ? 10 : 1;
    plot = new uPlot({
      width: figure.clientWidth,
      height: 216,
      legend: { show: false },
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      padding: [18, 20, 0, 0],
      scales: {
        x: { time: true, range: () => [Math.min(data.from, data.to - 60), Math.max(data.to, lastAt())] },
        y: { range: (u, min, max) => [0, Math.max(least, (max || 0) * 1.15)] },
      },
      axes: [
        { ...axis, grid: { show: false }, values: (u, ticks) => ticks.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
        { ...axis, size: data.unit === "bytes" || data.unit === "ms" ? 64 : 48, values: (u, ticks) => ticks.map(label) },
      ],
      series: [{}, ...data.series.map((s, i) => ({ label: s.label, stroke: token(inks[i % 4]), width: i === 0 ? 1.75 : 1.25, dash: dashes[i % 4], points: { show: false }, spanGaps: false }))],
      hooks: { draw: [marks] },
    }, aligned(), figure);
  }

  const lastAt = () => data.series.reduce((t, s) => Math.max(t, s.at.length ? s.at[s.at.length - 1] : 0), 0);

  function append() {
    let grown = false;
    for (const key of document.querySelectorAll(`#${figure.dataset.nowOf || "lag-now"} [data-series]`)) {
      const s = data.series.find((x) => x.name === key.dataset.series);
      const at = Number(key.dataset.at) / 1000;
      if (!s || !at || at <= (s.at[s.at.length - 1] || 0)) continue;
      s.at.push(at);
      const units = ["commits", "bytes", "seconds", "ms"].filter((unit) => s[unit]);
      for (const unit of units) s[unit].push(key.dataset[unit] === undefined ? null : Number(key.dataset[unit]));
      const span = data.to - data.from;
      while (s.at.length > 2 && s.at[0] < at - span) { s.at.shift(); for (const unit of units) s[unit].shift(); }
      grown = true;
    }
    if (!grown || !plot) return;
    const span = data.to - data.from;
    data.to = Math.max(data.to, lastAt());
    data.from = data.to - span;
    plot.setData(aligned());
  }

  draw();
  const sizes = new ResizeObserver(() => { if (plot && figure.clientWidth) plot.setSize({ width: figure.clientWidth, height: 216 }); });
  sizes.observe(figure);
  // A figure that was taken out of the page listens no longer.
  const alive = new AbortController();
  const on = (target, name, act) => target.addEventListener(name, () => {
    if (figure.isConnected) act();
    else { alive.abort(); sizes.disconnect(); }
  }, { signal: alive.signal });
  on(document, "changeover:morphed", append);
  on(document, "changeover:theme", draw);
  on(figure, "changeover:data", () => { data = JSON.parse(figure.dataset.plot); draw(); });
};
