"""The routes and their OpenAPI documentation."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends as DependsParameter
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays, Conditions, parse
from pixlate.inference.strength import require_blendable
from pixlate.options import check_strength
from pixlate_serve.door import Addressed, Guarded
from pixlate_serve.middleware import DRAIN_S, MODEL, REQUEST_ID, Counted, Lingering
from pixlate_serve.multipart import FORM, is_form
from pixlate_serve.refusals import ClientGone, Refusal, answer, stopping
from pixlate_serve.served_model import ServedModel
from pixlate_serve.service import Service
from pixlate_serve.transfer import MEDIA_TYPES, NOTES, FormatName, PictureResponse, received, require_image, unless_gone, wanted_format
from pixlate_serve.translation import MAX_PIXELS

SUFFIX = ":translate"
STRENGTH = "How strongly the model changes the upload, from 0 to 1: 1 is all of it, 0.5 half of it, mixed with the upload, 0 nothing but its size"
_CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["*"],
    "expose_headers": [NOTES, MAX_PIXELS, MODEL, REQUEST_ID, "Retry-After"],
}
_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_REASONS = {
    400: "The request is not as described here",
    401: "The token is missing or wrong",
    403: "The Host or Origin header names another site",
    404: "No such model",
    406: "The Accept header names no format that Pixlate writes",
    408: "The upload came too slowly",
    413: "Too many bytes or pixels",
    415: "No image that Pixlate reads",
    422: "The image is damaged, or the model does not take it",
    429: "The queue is full; Retry-After says when to come back",
    503: "The server is stopping, the picture was not done within the deadline, or the model has failed",
}


class Error(BaseModel):
    """The error."""

    code: str
    """For programs."""
    message: str
    """One sentence."""


class ErrorAnswer(BaseModel):
    """Body of every error response."""

    error: Error


class ModelDescription(BaseModel):
    """A served model."""

    name: str
    method: str
    direction: str
    scale: int
    """Height and width of the answer over those of the upload."""
    channels_in: int
    channels_out: int
    precision: str
    licence: str
    device: str
    weights: str
    """SHA-256 of its file."""
    version: str
    """Version of Pixlate that exported it."""
    max_pixels: int
    """Largest upload, in pixels, that is now done within the deadline and the memory of the server."""
    conditions: list[dict[str, Any]]
    """What the model takes besides the picture, for the query of a request: name, kind, choices, length and default."""
    ready: bool


class ModelList(BaseModel):
    """All served models."""

    models: list[ModelDescription]


class State(BaseModel):
    """Whether the server is alive, or ready."""

    status: str


def build_app(service: Service) -> FastAPI:
    """Return the application of a service that has been started."""
    options = service.options
    app = FastAPIOffline(
        title="Pixlate",
        description="Translates images into images. POST an image, and the translated one comes back.",
        version=pixlate.__version__,
        redirect_slashes=False,
        redoc_url=None,
        middleware=[
            Middleware(Counted, service=service),
            Middleware(Lingering, timeout_s=min(DRAIN_S, options.timeout_s)),
            Middleware(Addressed, host=options.host, hosts=options.allow_host, origins=options.allow_origin),
            *([Middleware(CORSMiddleware, allow_origins=options.allow_origin, **_CROSS_ORIGIN)] if options.allow_origin else []),
            Middleware(Guarded, token=service.token),
        ],
        exception_handlers={Refusal: _refusal, ClientGone: _gone, HTTPException: _http, RequestValidationError: _invalid},
    )
    token = [Depends(HTTPBearer(scheme_name="bearer", auto_error=False))] if service.token else []  # documents it in OpenAPI; Guarded requires it
    _add_translation(app, service, token)
    _add_descriptions(app, service, token)
    _add_states(app, service)
    return app


def _add_translation(app: FastAPI, service: Service, token: Sequence[DependsParameter]) -> None:
    responses: dict[int | str, dict[str, Any]] = {status: {"model": ErrorAnswer, "description": reason} for status, reason in _REASONS.items()}
    responses[429]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    responses[200] = {
        "description": "The translated image",
        "content": dict.fromkeys(MEDIA_TYPES.values(), _IMAGE),
        "headers": {NOTES: {"schema": {"type": "string"}, "description": "What could not be kept, such as transparency in JPEG"}},
    }
    responses[413]["headers"] = {MAX_PIXELS: {"schema": {"type": "integer"}, "description": "The largest picture that the model is given now"}}
    form = {"schema": {"type": "object", "properties": {"file": _IMAGE["schema"]}, "required": ["file"]}}
    body = {"required": True, "content": {**dict.fromkeys((*MEDIA_TYPES.values(), "application/octet-stream"), _IMAGE), FORM: form}}

    @app.post(
        "/v1/models/{name}" + SUFFIX,
        operation_id="translate",
        summary="Translate an image",
        response_class=Response,
        responses=responses,
        openapi_extra={"requestBody": body},
        dependencies=token,
    )
    async def translate(
        request: Request,
        name: Annotated[str, Path(description="A name that /v1/models lists")],
        format: Annotated[FormatName | None, Query(description="Format of the answer; without it that of the Accept header, or of the upload")] = None,
        strength: Annotated[str | None, Query(description=STRENGTH)] = None,
    ) -> Response:
        model = service.model(name)
        request.state.model = name
        headers = request.headers
        require_image(headers.get("content-type"), headers.get("content-encoding"))
        accept = ", ".join(headers.getlist("accept")) or None
        wanted_format(format, accept, "png")  # refused before the upload is read
        share = _strength(model, strength)
        conditions = _conditions(model, request)
        claim = service.accept()
        try:
            data = await received(request, claim, service.options.max_bytes, service.options.timeout_s)
            form = headers["content-type"] if is_form(headers.get("content-type")) else ""
            work = asyncio.create_task(service.translate(model, data, lambda source: wanted_format(format, accept, source), claim, conditions, share, form))
            del data
            return PictureResponse(await unless_gone(work, request.receive), claim, service.options.timeout_s)
        except asyncio.CancelledError:
            claim.release()
            if service.was_cut_off():
                raise stopping() from None
            raise
        except BaseException:
            claim.release()
            raise


def _strength(model: ServedModel, text: str | None) -> float:
    """Return how much of the model is to be in the answer, or refuse with 400 what is no number from 0 to 1, or has no effect."""
    if text is None or "strength" in _names(model):
        return model.strength
    try:
        if model.interpolated:
            raise PixlateError("expected no ?strength= for this model, whose weights have been blended with a strength of their own; leave it out")
        strength = float(text)
        check_strength(strength, name="?strength=")
        if strength < 1:
            require_blendable(model.spec)
        return strength
    except (PixlateError, ValueError) as error:
        sentence = str(error) if isinstance(error, PixlateError) else f"expected ?strength= to be a number from 0 to 1, got {text[:20]!r}; write 0.5"
        raise Refusal(400, "wrong_strength", sentence) from error


def _names(model: ServedModel) -> set[str]:
    """Return the names of a model's conditions."""
    return {each.name for each in model.spec.conditions}


def _conditions(model: ServedModel, request: Request) -> Arrays:
    """Return what the query says of the model's conditions, or refuse with 400; noise is the same for the same ``seed``."""
    try:
        given = parse([f"{name}={value}" for name, value in request.query_params.multi_items()])
        seed = given.pop("seed", "0")
        given.pop("format", None)
        if "strength" not in _names(model):
            given.pop("strength", None)
        if not seed.isascii() or not seed.isdecimal() or len(seed) > 18:
            raise PixlateError(f"expected ?seed= to be a whole number from 0 on, got {seed[:20]!r}; change it or leave it out")
        return Conditions.of(model.spec, given, int(seed), masks=bool(model.mask)).arrays("")
    except PixlateError as error:
        sentence = (
            str(error).replace("--set ", "?").replace(" for --set", "").replace("give masks with --mask FOLDER", "it is what is transparent in the picture")
        )
        raise Refusal(400, "wrong_condition", sentence) from error


def _add_descriptions(app: FastAPI, service: Service, token: Sequence[DependsParameter]) -> None:
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": _REASONS[404]}}

    @app.get("/v1/models", operation_id="list_models", summary="List the models", dependencies=token)
    async def list_models() -> ModelList:
        return ModelList(models=[_described(model) for model in service.models.values()])

    @app.get("/v1/models/{name}", operation_id="describe_model", summary="Describe a model", responses=unknown, dependencies=token)
    async def describe_model(name: Annotated[str, Path(description="A name that /v1/models lists")]) -> ModelDescription:
        if name.endswith(SUFFIX):
            raise HTTPException(405, headers={"Allow": "POST"})
        return _described(service.model(name))

    @app.get(
        "/metrics", operation_id="metrics", summary="Metrics for Prometheus", response_class=Response, dependencies=token,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def metrics(request: Request) -> Response:
        page, media_type = service.metrics.page(request.headers.get("accept", ""))
        return Response(page, headers={"Content-Type": media_type})


def _add_states(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", operation_id="health", summary="Whether the server lives")
    async def health() -> State:
        return State(status="alive")

    @app.get("/readyz", operation_id="readiness", summary="Whether the server takes work", responses={503: {"model": ErrorAnswer}})
    async def readiness() -> State:
        if not service.ready:
            raise Refusal(503, "not_ready", "the models are not warm yet, one has stopped working, or the server is stopping; ask again")
        return State(status="ready")


def _described(model: ServedModel) -> ModelDescription:
    spec = model.spec
    return ModelDescription(
        name=model.name, method=spec.method, direction=spec.direction, scale=spec.scale, channels_in=spec.channels_in, channels_out=spec.channels_out,
        precision=spec.precision, licence=spec.provenance.licence, device=model.device, weights=model.weights.sha256, version=model.weights.version, max_pixels=model.max_pixels,
        conditions=[asdict(each) for each in spec.conditions], ready=model.warm.is_set() and model.works,
    )  # fmt: skip


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return answer(error)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    messages = {
        404: ("not_found", "expected /v1/models, /v1/models/NAME or /v1/models/NAME:translate, got another path; see /docs"),
        405: ("method_not_allowed", "expected another method for this path; images are sent with POST, everything else is read with GET"),
    }
    code, message = messages.get(error.status_code, ("bad_request", str(error.detail)))
    return answer(Refusal(error.status_code, code, message, error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    return answer(Refusal(400, "unknown_format", f"expected ?format= to be one of {', '.join(MEDIA_TYPES)}, got another; change it or leave it out"))
