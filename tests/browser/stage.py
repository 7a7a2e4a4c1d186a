"""Widgets on a page of their own: the built bundle, the traits that Python would send, no kernel.

For pictures and for checks of the page alone; whatever needs a kernel is tested in JupyterLab.
"""

import base64
import json
from typing import Any

from anywidget import AnyWidget
from playwright.sync_api import Page

# JupyterLab's own values, as far as the widgets read them.
THEMES = {
    "light": {
        "--jp-layout-color1": "white",
        "--jp-ui-font-color1": "rgba(0, 0, 0, 0.87)",
        "ground": "#ffffff",
    },
    "dark": {
        "--jp-layout-color1": "#212121",
        "--jp-ui-font-color1": "rgba(255, 255, 255, 1)",
        "ground": "#111111",
    },
}

_PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}" style="{variables}">
<head><meta charset="utf-8"><title>{title}</title><style>
  html, body {{ margin: 0; background: {ground}; }}
  main {{ padding: 16px; max-width: {width}px; box-sizing: border-box; }}
</style></head>
<body data-jp-theme-light="{is_light}"><main aria-label="{title}"></main></body></html>"""

_MOUNT = """async ({states, first}) => {
    const models = new Map();
    const bundles = new Map();
    const signal = new AbortController().signal;
    const revive = (value) => value && value.bytes !== undefined && Object.keys(value).length === 1
        ? new DataView(Uint8Array.from(atob(value.bytes), (c) => c.charCodeAt(0)).buffer) : value;
    for (const [id, state] of Object.entries(states)) {
        const values = {};
        for (const [key, value] of Object.entries(state.traits)) values[key] = revive(value);
        const listeners = new Map();
        models.set(id, {
            values, sent: [],
            get: (key) => values[key],
            set(key, value) { values[key] = value; this.emit(`change:${key}`); },
            save_changes() {},
            send(content) { this.sent.push(content); },
            on(event, run) { listeners.set(event, [...(listeners.get(event) ?? []), run]); },
            off(event, run) {
                listeners.set(event, (listeners.get(event) ?? []).filter((r) => r !== run));
            },
            emit(event, content) { for (const run of listeners.get(event) ?? []) run(content); },
        });
        if (!bundles.has(state.bundle)) {
            const style = document.createElement("style");
            style.textContent = state.css;
            document.head.append(style);
            const address = URL.createObjectURL(new Blob([state.esm], {type: "text/javascript"}));
            bundles.set(state.bundle, (await import(address)).default);
        }
    }
    const host = {
        async getWidget(ref) {
            const id = ref.replace("anywidget:", "");
            const {render} = bundles.get(states[id].bundle);
            const shared = {model: models.get(id), host};
            return {render: (view) => render({...shared, signal, ...view})};
        },
    };
    window.models = models;
    const el = document.createElement("div");
    document.querySelector("main").append(el);
    const began = performance.now();
    await bundles.get(states[first].bundle).render({model: models.get(first), el, signal, host});
    window.rendered = performance.now() - began;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    window.painted = performance.now() - began;
}"""


def state_of(widget: AnyWidget) -> dict[str, Any]:
    """What the browser would hold of a widget: its bundle and its traits."""
    state = widget.get_state()
    traits = {
        key: {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, bytes | memoryview)
        else value
        for key, value in state.items()
        if not key.startswith("_")
    }
    return {
        "bundle": type(widget).__name__,
        "esm": str(widget._esm),
        "css": str(widget._css),
        "traits": traits,
    }


def show(
    page: Page, widget: AnyWidget, *, theme: str = "light", width: int = 980, title: str = "Widget"
) -> None:
    """Mount a widget, with the widgets that it refers to, on an empty page."""
    values = dict(THEMES[theme])
    ground = values.pop("ground")
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(
        _PAGE.format(
            theme=theme,
            variables=";".join(f"{k}:{v}" for k, v in values.items()),
            ground=ground,
            width=width,
            title=title,
            is_light=str(theme == "light").lower(),
        )
    )
    states: dict[str, Any] = {}
    waiting = [widget]
    while waiting:
        one = waiting.pop()
        if one.model_id in states:
            continue
        states[one.model_id] = json.loads(json.dumps(state_of(one)))
        waiting += [
            v for v in (getattr(one, name, None) for name in one.keys) if isinstance(v, AnyWidget)
        ]
    page.evaluate(_MOUNT, {"states": states, "first": widget.model_id})
