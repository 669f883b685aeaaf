// Shows what is new without a reload. A form that somebody fills in stays as it is.
"use strict";
(() => {
  const busy = () => {
    const form = document.activeElement && document.activeElement.closest("main form");
    return form !== null && form !== undefined || document.querySelector("main form[data-touched]") !== null;
  };
  document.addEventListener("input", (event) => {
    const form = event.target.closest("main form");
    if (form) form.dataset.touched = "";
    // What somebody writes is what they choose.
    const choice = event.target.closest("fieldset");
    const radio = choice && choice.querySelector("input[type=radio]");
    if (radio && event.target !== radio) radio.checked = true;
  });
  let loading = false, again = false;
  const refresh = async () => {
    if (loading) { again = true; return; }
    if (busy() || document.hidden) return;
    loading = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
        const open = new Set([...document.querySelectorAll("main details[open][id]")].map((shown) => shown.id));
        if (fresh && !busy()) {
          fresh.querySelectorAll("details[id]").forEach((shown) => { shown.open = open.has(shown.id); });
          document.querySelector("main").replaceWith(fresh);
          listen();
          localize();
        }
      }
    } catch (unreachable) {
      // The stream says when the server is back.
    }
    loading = false;
    if (again) { again = false; refresh(); }
  };
  let stream = null, timer = null;
  const listen = () => {
    const main = document.querySelector("main");
    const live = main.dataset.live;
    if (live && (!stream || !stream.url.endsWith(live))) {
      if (stream) stream.close();
      stream = new EventSource(live);
      stream.addEventListener("moved", refresh);
    }
    if (!live && stream) { stream.close(); stream = null; }
    clearInterval(timer);
    if (main.dataset.refresh) timer = setInterval(refresh, Number(main.dataset.refresh));
  };
  // Times are made in UTC; the reader has a zone of their own.
  const localize = () => document.querySelectorAll("time[datetime]").forEach((time) => {
    if (time.title) return;
    time.title = time.dateTime;
    const at = new Date(time.dateTime);
    const two = (number) => String(number).padStart(2, "0");
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  const login = document.querySelector("form[data-login]");
  if (login && location.hash.length > 1) {
    login.querySelector("input").value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
    login.submit();
  } else if (!login) {
    listen();
    localize();
  }
})();
