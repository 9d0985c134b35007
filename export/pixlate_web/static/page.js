// What Gradio has no part for.

import "./compare.js";
import "./draw.js";
import "./drop.js";
import "./mask.js";
import "./paths.js";
import "./results.js";
