// Where the parts of a map go. A file of its own: only who looks at a map loads it.
export { graphlib, layout } from "@dagrejs/dagre";
