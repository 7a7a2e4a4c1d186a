// The console as a page of the Jupyter Server: no kernel and no JupyterLab around it.

import { askServer } from "../console/api";
import { mount } from "../console/index";
import { Cleanup } from "../shared/model";

const main = document.querySelector<HTMLElement>("main")!;
const { base = "/", xsrf = "", project = "" } = main.dataset;
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.setAttribute("data-theme", dark.matches ? "dark" : "light");
follow();
dark.addEventListener("change", follow);
mount(main, askServer(base, xsrf), null, project === "" ? null : project, new Cleanup());
