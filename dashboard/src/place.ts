// Where the reader is: the page, its argument and the query, all in the address, so that every
// view can be sent to somebody else.
import { computed, signal } from "@preact/signals";

const address = signal(location.pathname + location.search);
addEventListener("popstate", () => {
  subject.value = "";
  address.value = location.pathname + location.search;
});

/** How many times the traffic of now are asked about, where the address does not say. */
export const TIMES = "10";

export interface Place {
  page: string;
  argument: string;
  query: URLSearchParams;
}

export const place = computed<Place>(() => {
  const url = new URL(address.value, location.origin);
  const [, page = "", ...rest] = url.pathname.split("/");
  return { page: page || "now", argument: decodeURIComponent(rest.join("/")), query: url.searchParams };
});

/** What the page is about, where that says more than the argument in the address. */
export const subject = signal("");

/** The address of a page; keeps the period that is looked at. */
export function to(page: string, argument = "", query: Record<string, string> = {}): string {
  const kept = new URLSearchParams();
  for (const name of ["last", "from", "to"]) {
    const value = place.value.query.get(name);
    if (value) kept.set(name, value);
  }
  for (const [name, value] of Object.entries(query)) if (value) kept.set(name, value);
  const path = `/${page === "now" ? "" : page}${argument ? `/${encodeURIComponent(argument)}` : ""}`;
  const text = kept.toString();
  return text ? `${path}?${text}` : path;
}

export function go(target: string, replace = false): void {
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  const moved = new URL(target, location.origin).pathname !== new URL(address.value, location.origin).pathname;
  if (moved) subject.value = "";
  address.value = target;
  if (moved) {
    scrollTo(0, 0);
    document.getElementById("title")?.focus();
  }
}

/** Change the query of the page that is shown; an empty value takes a name away. */
export function ask(changes: Record<string, string>): void {
  const query = new URLSearchParams(place.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), true);
}

addEventListener("click", (event) => {
  const link = (event.target as Element).closest?.("a");
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.pathname.startsWith("/api") || link.pathname === "/metrics" || link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
