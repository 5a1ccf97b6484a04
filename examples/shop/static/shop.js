// Fills the parts of the page that take longer to work out, after the rest is on the screen.
for (const place of document.querySelectorAll("[data-from]")) {
  fetch(place.dataset.from)
    .then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status)))
    .then((part) => { place.innerHTML = part.trim() || '<p class="empty">Nothing yet.</p>'; })
    .catch(() => { place.innerHTML = '<p class="empty">These could not be found just now.</p>'; });
}
