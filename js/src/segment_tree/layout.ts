// Where the parts of the tree stand. d3-hierarchy places the nodes; nothing here touches the page.

import { cluster, hierarchy, type HierarchyPointNode } from "d3-hierarchy";
import type { TreeNodeView, TreeView } from "../shared/schema/segment_tree";

export interface Placed {
  node: TreeNodeView;
  /** Questions above it. */
  depth: number;
  /** Centre of its bar, or of its card. */
  x: number;
  y: number;
  /** How high it is drawn: its share of the visitors. */
  height: number;
  /** Whether it is drawn as a card: a segment, or several that are folded into one. */
  card: boolean;
  /** Segments below it. */
  segments: string[];
  parent: string | null;
}

export interface Ribbon {
  to: Placed;
  path: string;
  /** Where the answer that leads along it is written. */
  label: { x: number; y: number };
}

export interface Layout {
  width: number;
  height: number;
  /** Height of a card, and whether cards are one line each. */
  slot: number;
  dense: boolean;
  placed: Placed[];
  ribbons: Ribbon[];
}

const ROOM = { card: 116, gap: 24 };
const LINE = { card: 32, gap: 4 };
const MANY = 12;
const LEFT = 20;
const FIRST_LABEL = 44;
const LABEL_STEP = 13;
const BODY = 190;

/** A node below which nothing is shown. */
export function isCard(node: TreeNodeView, collapsed: ReadonlySet<string>): boolean {
  return node.segment !== null || collapsed.has(node.id);
}

export function childrenOf(nodes: readonly TreeNodeView[]): Map<string, TreeNodeView[]> {
  const below = new Map<string, TreeNodeView[]>();
  for (const node of nodes) {
    if (node.parent !== null) below.set(node.parent, [...(below.get(node.parent) ?? []), node]);
  }
  return below;
}

export function layout(tree: TreeView, collapsed: ReadonlySet<string>): Layout {
  const below = childrenOf(tree.nodes);
  const first = tree.nodes[0]!;
  const segmentsBelow = (node: TreeNodeView): string[] =>
    node.segment !== null ? [node.segment] : (below.get(node.id) ?? []).flatMap(segmentsBelow);
  const root = hierarchy(first, (node) => (isCard(node, collapsed) ? null : below.get(node.id))).sort(
    (a, b) => b.height - a.height || b.data.share - a.data.share,
  );
  const n = root.leaves().length;
  const dense = n > MANY;
  const { card, gap } = dense ? LINE : ROOM;
  const column = root.height <= 1 ? 230 : root.height === 2 ? 140 : Math.max(48, Math.min(102, 282 / root.height));
  const width = LEFT + Math.max(1, root.height) * column;
  const height = n * (card + gap) + FIRST_LABEL - gap;
  const points = cluster<TreeNodeView>()
    .size([n * (card + gap), width - LEFT])
    .separation(() => 1)(root);
  // Few visitors are still to be seen, and all of them fit beside the cards.
  const body = Math.min(BODY, 0.6 * height);
  const thick = (share: number) => Math.max(1.5, (share / Math.max(first.share, 1e-9)) * body);
  const placed = new Map<HierarchyPointNode<TreeNodeView>, Placed>();
  points.each((point) => {
    placed.set(point, {
      node: point.data,
      depth: point.depth,
      x: LEFT + (root.height === 0 ? width - LEFT : point.y),
      y: FIRST_LABEL - gap / 2 + point.x,
      height: thick(point.data.share),
      card: !point.children,
      segments: segmentsBelow(point.data),
      parent: point.parent?.data.id ?? null,
    });
  });
  const ribbons: Ribbon[] = [];
  points.each((point) => {
    const from = placed.get(point)!;
    let y = from.y - from.height / 2;
    let lowest = -Infinity;
    for (const child of point.children ?? []) {
      const to = placed.get(child)!;
      const part = thick(child.data.share);
      const label = Math.max(y + part / 2 + 4, lowest + LABEL_STEP);
      lowest = label;
      ribbons.push({ to, path: ribbon(from.x, y, to.x, to.y - part / 2, part), label: { x: from.x + 12, y: label } });
      y += part;
    }
  });
  return { width, height, slot: card, dense, placed: [...placed.values()], ribbons };
}

function ribbon(x0: number, y0: number, x1: number, y1: number, thickness: number): string {
  const middle = (x0 + x1) / 2;
  const at = (...values: number[]) => values.map((v) => v.toFixed(1)).join(" ");
  return (
    `M${at(x0, y0)}C${at(middle, y0, middle, y1, x1, y1)}V${(y1 + thickness).toFixed(1)}` +
    `C${at(middle, y1 + thickness, middle, y0 + thickness, x0, y0 + thickness)}Z`
  );
}
