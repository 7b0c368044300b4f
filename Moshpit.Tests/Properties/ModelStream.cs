namespace Moshpit.Tests.Properties;

/// <summary>A participant of a <see cref="SessionModel"/>; its secret is null if it is a plain one.</summary>
internal sealed class ModelPeer(string? secret, int number, ModelEvent joined)
{
    public string? Secret => secret;

    public int Number => number;

    public ModelEvent Joined => joined;

    public SortedSet<long> Accepted { get; } = [];

    public int Streams { get; set; }

    /// <summary>Null: the peer is away.</summary>
    public ModelStream? Stream { get; set; }

    /// <summary>Learnt from its first <c>connect</c>.</summary>
    public string? Cid { get; set; }

    public string? Token { get; set; }
}

/// <summary>Something that took a number in its channel, at a time.</summary>
internal sealed class ModelEvent(string text, int sender, ModelPeer[] to, double at)
{
    public string Text => text;

    public int Sender => sender;

    /// <summary>The peers for which it is kept.</summary>
    public ModelPeer[] To => to;

    public double At => at;

    /// <summary>Learnt where it is first told.</summary>
    public long Seq { get; set; }

    /// <summary>Bytes of it that count against the history.</summary>
    public int Length { get; set; }
}

/// <summary>An event of a stream. In its <paramref name="Id"/>, {0} stands for the number of <paramref name="Event"/>.</summary>
internal sealed record ModelItem(string Text, ModelEvent? Event, string Id)
{
    public ModelItem(string text, ModelEvent happened)
        : this(text, happened, $"{{0}}.{happened.Sender}")
    {
    }

    /// <summary>It was missed, so a gap may stand for it, unless it was kept.</summary>
    public bool IsMissed { get; init; }

    public bool IsKept { get; init; }
}

/// <summary>What is told on one stream.</summary>
internal sealed class ModelStream
{
    private readonly List<ModelItem> _items = [];
    private ModelEvent? _last;

    public ModelStream(ModelPeer peer, ModelEvent? after, string connect)
    {
        Peer = peer;
        After = after;
        _last = after;
        Add(new ModelItem(connect, after, peer.Secret is null ? "" : after is null ? "0.0" : "{0}.0"));
        if (peer.Secret is not null && after is null)
            Add(new ModelItem("gap", peer.Joined));
    }

    public ModelPeer Peer { get; }

    /// <summary>The last event that its client has had; null: there is none that is usable.</summary>
    public ModelEvent? After { get; }

    public bool HasEnded { get; private set; }

    /// <summary>The next event, or null.</summary>
    public ModelItem? Next => _items.FirstOrDefault();

    public void Add(ModelItem item)
    {
        _items.Add(item);
        _last = item.Event ?? _last;
    }

    public void End(string reason)
    {
        string id = reason switch { "replaced" => "-{0}.0", "stopping" => "{0}.0", _ => "-1" };
        if (Peer.Secret is not null)
            _items.Add(new ModelItem($"bye {reason}", _last, id));
        HasEnded = true;
        Peer.Stream = null;
    }

    public void RemoveNext() => _items.RemoveAt(0);

    /// <summary>
    /// A gap up to the event with the number <paramref name="seq"/> came. False: it must not. What it stands for is not expected any more.
    /// </summary>
    public bool TryTakeGap(long seq)
    {
        bool isRequired = Next?.Text == "gap";
        if (isRequired)
            RemoveNext();
        ModelItem[] lost = [.. _items.TakeWhile(item => item.IsMissed && item.Event!.Seq <= seq)];
        if (lost.Length == 0)
        {
            Peer.Joined.Seq = Peer.Joined.Seq == 0 ? seq : Peer.Joined.Seq;
            return isRequired && seq == Peer.Joined.Seq;
        }

        _items.RemoveRange(0, lost.Length);
        return seq == lost[^1].Event!.Seq && !lost.Any(item => item.IsKept);
    }
}
