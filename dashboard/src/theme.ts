// Light or dark: as the system has it, until the reader says otherwise.
import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);
system.addEventListener("change", () => (systemIsDark.value = system.matches));

function kept(): Choice {
  try {
    const value = localStorage.getItem("theme");
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

export const choice = signal<Choice>(kept());
export const theme = computed(() =>
  choice.value === "system" ? (systemIsDark.value ? "dark" : "light") : choice.value,
);

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function choose(value: Choice): void {
  choice.value = value;
  try {
    localStorage.setItem("theme", value);
  } catch {
    // A browser that keeps nothing forgets the choice, no more.
  }
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
