// Light, dark, or as the system has it. The choice is kept in this browser.

const KEY = "pitstop-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SHOWN = { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };

export function setUpTheme(button) {
  let theme = localStorage.getItem(KEY) ?? "auto";
  const show = () => {
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    button.textContent = SHOWN[theme];
    button.setAttribute("aria-label", `Theme: ${theme}. Switch to ${NEXT[theme]}`);
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(KEY, theme);
    show();
  });
  show();
}
